"""How commands grow with the host: CPU time and peak memory on hosts of three sizes.

Each command reads a recording of a made-up host (:mod:`bench.large_host`). What it takes on a host
with a single vCPU is subtracted: that is importing modules. The exponent is that of growth from the
smallest to the largest host; 1 is linear. It is the slope over a factor of 16, so that a run that
takes a fifth longer on a busy machine moves it by 0.07.

python -m bench.scale record|scrape|top|kvmexit RECORDING: what has no command that reads a
recording, with the samples of one; and another program.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE

import attrs

from bench.large_host import LargeHost
from bench.table import TIMED, Budget, Cell, Table
from kstats import recording
from kstats.cli import kvmexit
from kstats.exporter.exposition import page
from kstats.exporter.metrics import Metrics
from kstats.exporter.settings import Settings
from kstats.model import Sample
from kstats.recording import Clock, Header
from kstats.top.screen import screen
from kstats.top.state import Screen, State, advanced
from kstats.top.styled import Size

ROOT = Path(__file__).parent.parent

ALONE = LargeHost(1, 1)
HOSTS = (LargeHost(32, 62), LargeHost(128, 250), LargeHost(512, 1000))

SECONDS = 5
"""Samples of a recording."""

RUNS = 2
"""The faster one counts."""

EXPONENT = 1.15
"""The largest exponent of time and of memory."""

WHY = 2
"""The most that ``kstats why`` may take, of what ``kstats report`` takes."""

Samples = Callable[[LargeHost, int], Iterable[Sample]]

RECORDINGS: Mapping[str, tuple[Samples, tuple[str, ...]]] = {
    "threads": (LargeHost.samples, ("entries", "exits", "threads", "vcpu_time")),
    "latency": (LargeHost.timed, ("entries", "exits", "threads", "latency", "slow")),
    "detail": (LargeHost.detailed, ("entries", "exits", "threads", "msr details")),
}
"""What recordings contain, and what their headers say that they do."""

REPORT, JUDGE = "kstats report -o /dev/null {}", "kstats why --input {}"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "threads": (
        "kstats cpu --input {}",
        "kstats cpu -f json --input {}",
        "kstats exits --input {}",
        "kstats exits -f json --input {}",
        "kstats exits --by cpu,tid,reason --input {}",
        "kstats exits --by cpu,tid,reason -f csv --input {}",
        "kstats exits --tree --top 3 --input {}",
        "kstats exits --time --input {}",
        "kstats vcpu --input {}",
        "bench.scale kvmexit {}",
        "kstats compare {} {copy}",
        "kstats compare --reasons {} {copy}",
        "kstats compare --by cpu {} {copy}",
        "kstats compare --by vm {} {copy}",
        REPORT,
        JUDGE,
        "kstats export -f openmetrics --input {}",
        "bench.scale record {}",
        "bench.scale scrape {}",
        "bench.scale top {}",
    ),
    "latency": (
        "kstats exits --latency --input {}",
        "kstats exits --histogram --by reason --input {}",
        "kstats exits --slower-than 1ms --input {}",
        "kstats export -f perfetto --input {}",
        REPORT,
    ),
    "detail": ("kstats exits --detail msr --input {}", REPORT),
}
"""The commands by recording."""


@attrs.frozen
class Cost:
    """CPU seconds, and MiB at most."""

    seconds: float
    mebibytes: float

    def above(self, other: Cost) -> Cost:
        """Return what this one takes more; less than can be measured well counts as that.

        Samples take memory while they are read, and a page while it is drawn, later.
        """
        seconds, mebibytes = attrs.astuple(self)
        return Cost(max(seconds - other.seconds, 0.02), max(mebibytes - other.mebibytes, 4))


# Not by wait4(2): that has the memory of the parent, too, if it is larger.
_RUN = """
import atexit, runpy, sys, time
@atexit.register
def used():
    peak = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
    print(time.process_time(), int(peak) / 1024, file=sys.stderr)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run(command: str, path: Path) -> Cost:
    """Return what a command costs.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    words = [sys.executable, "-c", _RUN, *command.format(path, copy=_copy(path)).split()]
    done = subprocess.run(words, stdout=DEVNULL, stderr=PIPE, text=True, check=True, cwd=ROOT)
    return Cost(*map(float, done.stderr.splitlines()[-1].split()))


def best(command: str, path: Path) -> Cost:
    """Return the cost of the faster run."""
    return min((run(command, path) for _ in range(RUNS)), key=lambda cost: cost.seconds)


def write(path: Path, host: LargeHost, what: str) -> None:
    """Write a recording."""
    samples, counted = RECORDINGS[what]
    header = Header("x64", Clock.now(), interval=1.0, counted=counted)
    with recording.Writer(path, header) as writer:
        for sample in samples(host, SECONDS):
            writer.write(sample)
    _copy(path).hardlink_to(path)


def _copy(path: Path) -> Path:
    return path.with_name(f"copy-{path.name}")


def measured(what: str, folder: Path) -> Iterator[tuple[str, list[Cost]]]:
    """Yield the cost of each command on all hosts, above that of a host with one vCPU."""
    hosts = (ALONE, *HOSTS)
    paths = [folder / f"{what}-{number}.jsonl.zst" for number in range(len(hosts))]
    for path, host in zip(paths, hosts, strict=True):
        write(path, host, what)
    for command in COMMANDS[what]:
        alone, *costs = (best(command, path) for path in paths)
        yield command, [cost.above(alone) for cost in costs]


def exponent(costs: list[float]) -> float:
    """Return the exponent of growth from the smallest host to the largest."""
    return math.log(costs[-1] / costs[0], HOSTS[-1].vcpus / HOSTS[0].vcpus)


def tables() -> Iterator[Table]:
    """Yield the table."""
    rows: list[list[Cell]] = []
    exponents: dict[str, list[float]] = {"CPU time": [], "memory": []}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for what in RECORDINGS:
            for command, costs in measured(what, Path(folder)):
                took = [cost.seconds for cost in costs]
                held = [cost.mebibytes for cost in costs]
                found = exponent(took), exponent(held)
                name = command.replace(" --input {}", "").replace(" {}", "").replace(" {copy}", "")
                rows.append([f"{what}: {name}", *took, found[0], *held, found[1]])
                for each, one in zip(exponents.values(), found, strict=True):
                    each.append(one)
                seconds.setdefault(command, took[-1])
    budgets = [
        Budget("commands", f"largest exponent of {of}", EXPONENT, max(found))
        for of, found in exponents.items()
    ]
    budgets.append(Budget("why", "CPU time, of report's", WHY, seconds[JUDGE] / seconds[REPORT]))
    sizes = [f"{host.vcpus} vCPUs" for host in HOSTS]
    headings = [
        "command",
        *(f"{size}, s" for size in sizes),
        "exponent",
        *(f"{size}, MiB" for size in sizes),
        "exponent of memory",
    ]
    title = (
        f"{SECONDS} samples of {', '.join(map(str, HOSTS))}, 60 reasons; above those of one vCPU"
    )
    yield Table(title, headings, rows, budgets=budgets, spread=TIMED)


def _record(path: str) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        recording.read(path) as samples,
        recording.Writer(Path(folder) / "copy.jsonl.zst", samples.header) as writer,
    ):
        for sample in samples:
            writer.write(sample)


def _scrape(path: str) -> None:
    metrics = Metrics(Settings(vcpus=True, time=True))
    with recording.read(path) as samples:
        for sample in samples:
            metrics.add(sample, time.monotonic())
            page(metrics.families(), openmetrics=False)


def _kvmexit(path: str) -> None:
    kvmexit.main(["--input", path])


def _top(path: str) -> None:
    state = State()
    with recording.read(path) as samples:
        for sample in samples:
            state = advanced(state, sample)
            for one in Screen:
                screen(attrs.evolve(state, screen=one), Size(200, 60))


CASES: Mapping[str, Callable[[str], None]] = {
    "record": _record,
    "scrape": _scrape,
    "top": _top,
    "kvmexit": _kvmexit,
}

if __name__ == "__main__":
    CASES[sys.argv[1]](sys.argv[2])
