"""The work of a comparison grows linearly with the parts of a host."""

from __future__ import annotations

import math
import sys
from types import FrameType

import pytest

from kstats.compare.aggregate import Aggregate
from kstats.compare.compare import compare
from kstats.compare.render import FORMATS
from kstats.model import Sample
from kstats.vms.identity import Kind, Thread, Vm
from tests.views.hosts import happened, number

BOUND = 1.15
"""The largest exponent by which the work may grow."""

SMALL, LARGE = 50, 200
HLT = ("vmx", 12)


def host(parts: int) -> Sample:
    """Return a sample with a CPU and a VM of one vCPU for each part."""
    threads = {
        number(pid + 1, pid): Thread(pid + 1, pid, 0, Vm(pid, 1, Kind.QEMU, f"vm{pid}"))
        for pid in range(1000, 1000 + 2 * parts, 2)
    }
    places = dict.fromkeys(enumerate(threads), 1)
    return happened({HLT: places}, threads, cpus=tuple(range(parts)))


def calls_of_comparing(by: str, parts: int, hosts: int) -> int:
    """Count calls, and the values of generators: unlike time they are the same in every run."""
    aggregates = {label: Aggregate(by) for label in "ab"[:hosts]}
    for one in aggregates.values():
        one.add(host(parts))
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        comparison = compare(aggregates)
        for write in FORMATS.values():
            write(comparison)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("by", ["cpu", "vm"])
def test_comparing_parts_takes_linear_work(by: str, hosts: int) -> None:
    small, large = (calls_of_comparing(by, parts, hosts) for parts in (SMALL, LARGE))
    assert math.log(large / small, LARGE / SMALL) < BOUND
