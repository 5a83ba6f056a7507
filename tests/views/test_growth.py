"""A table of exits takes work for each of its rows, not for each place that its rows sum up."""

from __future__ import annotations

import gc
import sys
from types import FrameType

import pytest

from kstats.views.exits import ExitsView, Options
from kstats.vms.identity import Kind, Thread, Vm
from tests.views.hosts import happened, number

VCPUS = 4
HLT = ("vmx", 12)
THREADS = {
    number(1000, 1000 + n): Thread(1000 + n, 1000, n, Vm(1000, 1, Kind.QEMU, "web"))
    for n in range(VCPUS)
}


def calls_of_a_table(by: tuple[str, ...], cpus: int) -> int:
    """Count calls: unlike time they are the same in every run."""
    places = {(cpu, thread): 1 for cpu in range(cpus) for thread in THREADS}
    sample = happened({HLT: places}, THREADS, cpus=(0,))
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    view = ExitsView(Options(by=by))
    view.table(sample)  # what is looked up once and kept
    before = sys.getprofile()
    gc.disable()  # other libraries have functions called when garbage is collected
    sys.setprofile(count)
    try:
        rows = view.table(sample).rows
    finally:
        sys.setprofile(before)
        gc.enable()
    assert sum(int(row.cells[len(by)] or 0) for row in rows) == cpus * VCPUS
    return calls


@pytest.mark.parametrize("by", [("vm", "vcpu", "reason"), ("reason", "tid"), ("vm",)])
def test_places_in_one_row_take_no_calls(by: tuple[str, ...]) -> None:
    assert calls_of_a_table(by, 20) == calls_of_a_table(by, 80)


def test_rows_take_calls() -> None:
    assert calls_of_a_table(("cpu", "tid"), 20) < calls_of_a_table(("cpu", "tid"), 80)
