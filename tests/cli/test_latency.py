"""The options about time of kstats exits: what they load, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.cli import exits, live, main
from kstats.cli.exits_options import ExitsOptions
from kstats.collector.feature import Feature
from kstats.collector.latency import Latency
from kstats.collector.slow_exits import SlowExits
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import VcpuTimes
from tests import trees

TIMING = {"kvm_exit", "kvm_entry", "sched_process_exit"}


@pytest.fixture(autouse=True)
def _bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Intel host without KVM: what makes sense fails with status 4."""
    host = trees.x64(tmp_path, kvm=False)
    monkeypatch.setattr(live, "Host", lambda: host)


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The line that was printed."""
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[0].removeprefix("kstats: ")


def measured(words: str) -> list[Feature]:
    """Return what the kernel measures for these words."""
    return [ExitsByThread(), *live.timing(exits.parser().parse(words.split(), ExitsOptions))]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--latency --sort colour", "cannot sort by 'colour'"),
        ("--latency --sort share", "cannot sort by 'share'"),
        ("--histogram --by vm --sort cpu", "cannot sort by 'cpu'"),
        ("--slower-than soon", "invalid duration 'soon' for --slower-than"),
        ("--slower-than 500", "invalid duration '500' for --slower-than"),
        ("--slower-than -1us", "argument --slower-than: expected one argument"),
        ("--slower-than=0us", "invalid duration '0us' for --slower-than"),
        ("--slower-than=", "invalid duration '' for --slower-than"),
        ("--slower-than 1ms --top 3", "--slower-than cannot be combined with --top"),
        ("--time --rate", "--time cannot be combined with --rate"),
        ("--time --sort vm", "--time cannot be combined with --sort"),
        ("--time --by cpu", "--time cannot be shown by cpu"),
        ("--time --by vm,reason", "--time cannot be shown by reason"),
        ("--time --by colour", "unknown axis 'colour'"),
        ("--time --reason io", "--time cannot be combined with --reason"),
        ("--time --latency", "--time cannot be combined with --latency"),
        ("--reason colour", "unknown exit reason 'colour'"),
        ("--time --detail msr", "--time cannot be combined with --detail"),
        ("--slower-than 1ms --detail io", "--slower-than cannot be combined with --detail"),
        ("--latency --detail port", "unknown detail 'port'"),
        ("--latency --by handler", "--latency and --histogram cannot be shown by handler"),
        ("--slower-than 1ms --by handler", "--slower-than cannot be shown by handler"),
        ("--time --by handler", "--time cannot be shown by handler"),
        ("--latency --by detail", "the axis detail needs --detail KIND"),
    ],
)
def test_invalid_options_are_refused(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exits", *words.split()]) == 2
    assert complaint(capsys) == said


@pytest.mark.parametrize(
    "words",
    [
        "--latency --by cpu,reason --sort p99 --top 5 --rate 1 2",
        "--latency --sort reason --by reason",
        "--histogram --reason npf,0x7b -f json 5",
        "--latency --detail msr --by reason,detail --sort detail 5",
        "--histogram --detail io 5",
        "--slower-than 1.5ms --by vm,reason --reason EPT_VIOLATION 5",
        "--time --by vm,vcpu,pid,tid 1",
    ],
)
def test_valid_command_lines_get_as_far_as_the_host(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exits", *words.split()]) == 4
    assert complaint(capsys) == "KVM is not loaded"


@pytest.mark.parametrize(
    ("words", "kind", "attached"),
    [
        ("", ExitsByThread, {"kvm_exit"}),
        ("--latency", Latency, TIMING),
        ("--histogram", Latency, TIMING),
        ("--slower-than 1ms", SlowExits, TIMING),
        (
            "--time",
            VcpuTimes,
            {
                *TIMING,
                *("kvm_userspace_exit", "kvm_vcpu_wakeup", "sched_switch", "sched_wakeup"),
            },
        ),
    ],
)
def test_nothing_is_attached_that_the_view_does_not_need(
    words: str, kind: type, attached: set[str]
) -> None:
    found = measured(words)
    assert isinstance(found[-1], kind)
    assert {a.tracepoint for f in found for a in f.attachments if a.tracepoint} == attached


@pytest.mark.parametrize(("by", "told_apart"), [("vm,reason", False), ("cpu,reason", True)])
def test_latencies_are_by_cpu_only_if_it_is_an_axis(by: str, *, told_apart: bool) -> None:
    *_, latency = measured(f"--latency --by {by}")
    assert isinstance(latency, Latency)
    assert latency.by_cpu is told_apart
