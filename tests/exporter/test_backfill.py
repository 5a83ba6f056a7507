"""Recordings as OpenMetrics: the text, as another program's parser reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kstats.cli import main
from kstats.exporter.backfill import Backfill
from kstats.exporter.feed import About
from kstats.exporter.settings import Settings
from kstats.model import Exits, Place, Sample
from kstats.vms.identity import Kind, Thread, Vm

HLT, IO = ("vmx", 12), ("vmx", 30)
ONE, TWO = 1 << 32 | 1, 2 << 32 | 2
THREADS = {
    ONE: Thread(1, 1, 0, Vm(1, 1, Kind.QEMU, "one")),
    TWO: Thread(2, 2, 0, Vm(2, 2, Kind.QEMU, "two")),
}


def sample(time: float, counts: dict[tuple[tuple[str, int], int], int]) -> Sample:
    """Return a second with exits by code and thread."""
    exits: dict[tuple[str, int], dict[Place, Exits]] = {}
    for (code, thread), n in counts.items():
        exits.setdefault(code, {})[Place(0, thread)] = Exits(n)
    threads = {thread: THREADS[thread] for _, thread in counts}
    return Sample("x64", time, 1.0, (0,), {0: 1}, exits, threads=threads, isa="vmx")


def points(samples: Iterable[Sample], name: str, **labels: str) -> list[tuple[float, float]]:
    """Return the time and value of the points with these labels."""
    settings = Settings(keep_ended=1.0)
    backfill = Backfill(settings, About(isa="vmx"), [("instance", 'a "host"')])
    for each in samples:
        backfill.add(each)
    families = list(text_string_to_metric_families("".join(backfill.lines())))
    labels["instance"] = 'a "host"'
    return [
        (float(point.timestamp), point.value)
        for family in families
        for point in family.samples
        if point.name == name and labels.items() <= point.labels.items()
    ]


def test_a_counter_begins_with_a_zero_before_its_first_counts() -> None:
    samples = [sample(100, {(HLT, ONE): 5}), sample(101, {(HLT, ONE): 7, (IO, ONE): 3})]
    exits = "kvm_vm_exits_total"
    assert points(samples, exits, vm="one", reason="HLT") == [(99, 0), (100, 5), (101, 12)]
    assert points(samples, exits, reason="IO_INSTRUCTION") == [(100, 0), (101, 3)]


def test_a_gauge_has_no_zero() -> None:
    samples = [sample(100, {(HLT, ONE): 5}), sample(101, {(HLT, ONE): 1, (HLT, TWO): 1})]
    assert points(samples, "kvm_vm_vcpus", vm="one") == [(99, 1), (100, 1), (101, 1)]
    assert points(samples, "kvm_vm_vcpus", vm="two") == [(101, 1)]
    assert points(samples, "kstats_build_info", isa="vmx") == [(99, 1), (100, 1), (101, 1)]


def test_a_vm_that_ended_has_no_points_and_may_return() -> None:
    """Its counters begin again: that is a reset."""
    times = {100: ONE, 101: TWO, 102: TWO, 103: TWO, 104: ONE}
    samples = [sample(time, {(HLT, thread): 5}) for time, thread in times.items()]
    found = points(samples, "kvm_vm_exits_total", vm="one", reason="HLT")
    assert found == [(99, 0), (100, 5), (101, 5), (103, 0), (104, 5)]


def test_what_can_be_read_of_a_damaged_recording_is_exported(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    example = Path(__file__).parents[2] / "examples/recordings/svm.jsonl"
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text(f"{example.read_text()}no sample\n")
    assert main(["export", "--input", str(example)]) == 0
    whole = capfdbinary.readouterr().out
    assert main(["export", "--input", str(damaged)]) == 7
    assert capfdbinary.readouterr().out == whole


@pytest.mark.parametrize("text", ["x", "=x", "a-b=c", "__name__=x", "vm=web", "a="])
def test_invalid_labels(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--input", "x", "--label", text]) == 2
    assert "invalid label" in capsys.readouterr().err


def test_an_export_needs_a_recording(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 2
    assert "no recording given" in capsys.readouterr().err
