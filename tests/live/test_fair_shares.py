"""A hostile guest beside an ordinary one in emulated KVM hosts: it takes no more than its share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from lab.vmm.layout import layout
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.kstats import wait_attached, watching

pytestmark = pytest.mark.host

in_all = pytest.mark.parametrize(
    "bed", beds("svm", "svm-5.10", "svm-6.12", "arm64"), indirect=True, scope="session"
)

VIEWS = {
    "details": ("--by", "tid,reason,detail", "--detail", "page", "--map-entries", "1024"),
    "threads": ("--by", "tid,reason", "--map-entries", "64"),
}
"""With tables that the hostile guest would fill."""

VCPUS = 12
HOSTILE = {
    "svm": "page=130,cpuid=3,io=3,rdmsr=3,wrmsr=3,hypercall=3,cr0=3,cr4=3,rdcr4=3,ud=3,wbinvd=3",
    "arm64": "page=130,exec=3,hypercall=3,smc=3,sys64=3,wfi=3",
}
ORDINARY = {
    "svm": "cpuid=1009,io=211,rdmsr=307,page=3,mmio@0x10=53",
    "arm64": "hypercall=1009,sys64=307,page=3,mmio@0x10=53",
}
DEVICE = 53
FAULTS = {"npf", "IABT_LOW", "DABT_LOW"}

Rows = list[dict[str, Any]]


@attrs.frozen
class Seen:
    """The reports by view, and the processes and threads of the two guests."""

    reports: Mapping[str, dict[str, Any]]
    hostile: Mapping[str, Any]
    ordinary: Mapping[str, Any]

    def rows(self, view: str, vm: Mapping[str, Any]) -> Rows:
        """Return the rows of a guest."""
        tids = {vcpu["tid"] for vcpu in vm["vcpus"]}
        return [row for row in self.reports[view]["rows"] if row["tid"] in tids]


@pytest.fixture(scope="module")
def seen(bed: Bed, host: Host) -> Iterator[Seen]:
    """Run the hostile guest to its end, and then the ordinary one on the same CPU."""
    where = ("--cpu", str(bed.pinned))
    with ExitStack() as stack:
        watches = {
            view: stack.enter_context(watching(host, "exits", *words))
            for view, words in VIEWS.items()
        }
        wait_attached(*watches.values())
        many = ("--vcpus", str(VCPUS), "--workload", HOSTILE[bed.isa])
        hostile = stack.enter_context(guest(host, *where, *many))
        ordinary = stack.enter_context(guest(host, *where, "--workload", ORDINARY[bed.isa]))
        reports = {view: watch.stop().reports[0] for view, watch in watches.items()}
        yield Seen(reports, hostile["vms"][0], ordinary["vms"][0])


def by_reason(rows: Rows) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["reason"]] += row["count"]
    return counts


def expected(bed: Bed, load: str) -> Mapping[str, int]:
    exits = workloads.expected(workloads.parse(load), bed.isa)
    return {name: n for (_, name), n in exits.items()}


@in_all
def test_the_ordinary_guest_keeps_its_details(bed: Bed, seen: Seen) -> None:
    rows = seen.rows("details", seen.ordinary)
    known = expected(bed, ORDINARY[bed.isa])
    assert by_reason(rows) == {name: n for name, n in known.items() if name in FAULTS}
    assert all(row["detail"] != "?" for row in rows)
    window = layout(workloads.parse(ORDINARY[bed.isa]), 1).windows[0]
    device = f"write {window.device:#x}"
    assert sum(row["count"] for row in rows if row["detail"] == device) == DEVICE


@in_all
def test_the_ordinary_guest_keeps_its_threads(bed: Bed, seen: Seen) -> None:
    counts = by_reason(seen.rows("threads", seen.ordinary))
    known = expected(bed, ORDINARY[bed.isa])
    assert {name: n for name, n in counts.items() if name.partition(":")[0] in known} != {}
    folded: Counter[str] = Counter()
    for name, n in counts.items():
        folded[name.partition(":")[0]] += n
    assert {name: folded[name] for name in known} == known


@in_all
def test_no_exit_of_the_hostile_guest_is_missing(bed: Bed, seen: Seen) -> None:
    """A fault is repeated if another vCPU's fault changes KVM's tables meanwhile."""
    known = expected(bed, HOSTILE[bed.isa])
    pages = by_reason(seen.rows("details", seen.hostile))
    assert pages.keys() == FAULTS & known.keys()
    assert all(n >= known[name] * VCPUS for name, n in pages.items())


@in_all
def test_the_hostile_guest_is_named(seen: Seen) -> None:
    pid = seen.hostile["pid"]
    dropped = seen.reports["details"]["detail_dropped"]
    assert dropped == sum(
        row["count"] for row in seen.rows("details", seen.hostile) if row["detail"] == "?"
    )
    assert dropped > 1000
    (note,) = (n for n in seen.reports["details"]["notes"] if n.startswith("dropped details by VM"))
    assert re.fullmatch(rf"dropped details by VM: \S+ \(pid {pid}\) {dropped}", note)
    unattributed = sum(r["count"] for r in seen.reports["threads"]["rows"] if r["tid"] == "?")
    assert unattributed > 0
    (note,) = (n for n in seen.reports["threads"]["notes"] if "unattributed exits by VM" in n)
    assert re.fullmatch(rf"unattributed exits by VM: \S+ \(pid {pid}\) {unattributed}", note)
