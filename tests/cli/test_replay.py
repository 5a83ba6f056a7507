"""What every view shows of a recording is what it showed live: to the letter, in every format."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import attrs
import pytest

from kstats import recording
from kstats.cli import exits, live, live_cpu, main, session, vcpu
from kstats.histogram import Histogram
from kstats.model import Exits, Place, Sample, SlowExit, VcpuTime
from kstats.vms.identity import Kind, Thread, Vcpu, Vm
from tests.cli import scripted
from tests.recording.samples import HEADER
from tests.samples import MOMENT, sample

EXAMPLES = Path(__file__).parents[2] / "examples" / "recordings"

LENGTHS = (1.73, 0.27, 1.0, 0.4)
"""Seconds of the samples: one came late, the next one was short, and a signal ended the last."""

WEB = Vm(5, 3, Kind.QEMU, "web")
THREAD = 5 << 32 | 6
IO, MSR = ("svm", 0x7B), ("svm", 1 << 32 | 0x7C)
COUNTED = ("entries", "exits", "threads", "events", "counters", "latency", "slow", "vcpu_time")


def made(number: int, elapsed: float) -> Sample:
    """A sample with something of everything that is counted; nothing is slow in every other."""
    slow = SlowExit(MOMENT + number, IO, Place(0, THREAD), 2_000_000 + number)
    return attrs.evolve(
        sample(elapsed=elapsed, entries={0: 9 + number}),
        time=MOMENT + number,
        isa="svm",
        exits={
            IO: {Place(0, THREAD): Exits(7 + number, Histogram.of([1000 + number, 9000]))},
            MSR: {
                Place(1, THREAD, 0x10): Exits(3),
                Place(-1, THREAD, 0x10): Exits(0, Histogram.of([500 + number])),
            },
        },
        detail="msr",
        timed=True,
        threads={THREAD: Thread(6, 5, 1, WEB)},
        events={"kvm_inj_virq": {Place(0, THREAD): number}},
        counters={Vcpu(5, 6, 1, 3): {"exits": 10 + number, "halt_exits": 2}},
        slow=(slow,) if number % 2 else (),
        vcpu_time={THREAD: VcpuTime(10**8, 10**7, 10**6, 10**8, None)},
        notes=("odd",) if number == 1 else (),
    )


class Collector(scripted.Collector):
    """Has a sample of the next length at once."""

    counted = (*COUNTED, "msr details", "io details", "msr latency")

    def __init__(self, *_: Any) -> None:
        super().__init__(scripted.Target())
        self._samples = map(made, range(100), cycle(LENGTHS))

    def sample(self) -> Sample:
        """The next one."""
        return next(self._samples)


class Ticker:
    """Waits for nothing."""

    def __init__(self, _: float) -> None:
        pass

    def wait(self) -> bool:
        """Same as :meth:`kstats.cli.ticker.Ticker.wait`."""
        return False


@pytest.fixture(autouse=True)
def _made_up_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def collect(*_: Any) -> Collector:
        return Collector()

    replacements: dict[Any, dict[str, Callable[..., Any] | type]] = {
        session: {"Ticker": Ticker},
        live: {"Target": scripted.Target, "Collector": Collector},
        live_cpu: {"Target": scripted.Target, "Collector": Collector},
        exits: {"_collect": collect},
        vcpu: {"_collect": collect},
    }
    for module, names in replacements.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)


VIEWS = {
    "-v --total": "1 4",
    "-v --rate --reasons": "1 4",
    "exits": "1 4",
    "exits --by vm --rate": "1 4",
    "exits --detail msr": "1 4",
    "exits --detail msr --latency": "1 4",
    "exits --latency": "1 4",
    "exits --histogram --by reason": "1 4",
    "exits --slower-than 1ms": "1 1",
    "exits --time": "1 4",
    "exits --tree --top 1": "1 4",
    "vcpu --total": "1 4",
    "vcpu --source kernel": "1 4",
}
"""Each view, and the operands that make it four samples."""


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_replay_is_what_was_shown_live(
    view: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, operands = str(tmp_path / "x.jsonl"), VIEWS[view].split()
    words = [*view.split(), "-f", form]
    assert main([*words, *operands, "--record", file]) == 0
    live = capsys.readouterr()
    assert live.out.count("\n") > 1
    assert main([*words, *operands, "--input", file]) == 0
    assert capsys.readouterr() == live
    if "exits" in words and "--slower-than" not in words:
        return  # without operands it adds up all there is
    assert main([*words, "--input", file]) == 0
    assert capsys.readouterr() == live


def test_late_samples_are_noted_live_and_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The expected length is that of the recording, unless the command line has another."""
    file = str(tmp_path / "x.jsonl")
    main(["-v", "1", "4", "--record", file])
    said = [line for line in capsys.readouterr().out.splitlines() if "report covers" in line]
    assert said == [
        "# this report covers 1.73 seconds, not 1",
        "# this report covers 0.27 seconds, not 1",
        "# this report covers 0.4 seconds, not 1",
    ]
    main(["-v", "--input", file, "3"])
    said = [line for line in capsys.readouterr().out.splitlines() if "report covers" in line]
    assert said == ["# this report covers 0.4 seconds, not 3"]


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize("reason", ["memory", "hlt"])
def test_on_a_terminal_an_empty_table_is_explained(
    reason: str,
    form: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = str(tmp_path / "x.jsonl")
    with recording.Writer(file, HEADER) as writer:
        writer.write(sample({("vmx", 48): {0: 7}}))
    words = ["exits", "--by", "reason", "--input", file, "--reason", reason, "-f", form]
    capsys.readouterr()
    assert main(words) == 0
    assert "no exits:" not in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(words) == 0
    told = "no exits: no VM ran" in capsys.readouterr().err
    assert told == (form == "table" and reason == "hlt")


def test_without_operands_exits_adds_up_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "x.jsonl")
    main(["exits", "1", "4", "--by", "reason", "-f", "csv", "--record", file])
    capsys.readouterr()
    main(["exits", "--input", file, "--by", "reason", "-f", "csv"])
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(",")[1:4] for row in rows] == [
        ["3.400000", "io", "34"],
        ["3.400000", "msr:rd", "12"],
    ]


def test_a_recorded_vm_without_the_vcpu_is_not_called_unknown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(EXAMPLES / "svm.jsonl")
    words = ["exits", "--input", path, "--vm", "python3(125)"]
    assert main([*words, "--vcpu", "0"]) == 0
    assert main([*words, "--vcpu", "9"]) == 1
    assert "the recording has no such thread" in capsys.readouterr().err
