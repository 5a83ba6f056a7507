"""VMs that have ended when a report is made: their names, vCPU numbers and exits."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from tests.live.conftest import Bed, beds
from tests.live.inside import short_vms
from tests.live.kstats import now, wait_attached, watching

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session"),
]

COUNTS = {"svm": 200, "arm64": 20}
INSIDE = "/run/short_vms.py"
WORKLOADS = {"svm": "cpuid=41,io=17,rdmsr=13", "arm64": "hypercall=41,mmio=17,sys64=13"}
BUSY = "for i in 1 2; do while :; do :; done & done; echo busy; wait"

Who = tuple[str, int, int, int]
"""The name of the VM, its process, its thread and its vCPU."""


@attrs.frozen
class Churn:
    """What the VMs did, and the rows of one report over all of them, and of many reports.

    ``maps`` is how full the maps of the latter are, once the VMs have ended.
    """

    vcpus: frozenset[Who]
    once: tuple[dict[str, Any], ...]
    every_5_seconds: tuple[dict[str, Any], ...]
    maps: Mapping[str, dict[str, int]]


@pytest.fixture(scope="module")
def churn(bed: Bed, host: Host) -> Churn:
    """Return what was counted on a host that is busy; no VM lives until a report is made."""
    host.run("mkdir /run/lab && ln -s /payload/vmm /run/lab/vmm").check()  # as it is imported here
    host.put(INSIDE, Path(short_vms.__file__).read_bytes())
    by = "vm,pid,tid,vcpu,reason"
    with (
        watching(host, "exits", "--by", by) as once,
        watching(host, "exits", "--by", by, "--overhead", "5", "36000") as every_5_seconds,
    ):
        wait_attached(once, every_5_seconds)
        with host.start(BUSY) as busy:
            busy.wait_output("busy")
            words = ["python3", INSIDE, str(COUNTS[bed.isa]), WORKLOADS[bed.isa]]
            lines = host.run(words).check().stdout.splitlines()
        every_5_seconds.wait_reports(3, now(host))
        once.stop()
        every_5_seconds.stop()
    vms = map(json.loads, lines)
    vcpus = {(vm["name"], vm["pid"], v["tid"], v["vcpu"]) for vm in vms for v in vm["vcpus"]}
    maps = every_5_seconds.reports[-1]["overhead"]["maps"]
    return Churn(frozenset(vcpus), tuple(once.rows()), tuple(every_5_seconds.rows()), maps)


def exits(rows: Iterable[dict[str, Any]], bed: Bed) -> dict[Who, Counter[str]]:
    """Return the exits whose number is certain, by vCPU."""
    workload = workloads.parse(WORKLOADS[bed.isa])
    vague = {exit_.name for exit_ in workloads.inexact(workload, bed.isa)}
    found: dict[Who, Counter[str]] = defaultdict(Counter)
    for row in rows:
        reason = row["reason"].partition(":")[0]
        if reason not in vague:
            found[row["vm"], row["pid"], row["tid"], row["vcpu"]][reason] += row["count"]
    return found


@pytest.mark.parametrize("reports", ["once", "every_5_seconds"])
def test_vms_that_have_ended_keep_their_names_vcpus_and_exits(
    bed: Bed, churn: Churn, reports: str
) -> None:
    counts = workloads.expected(workloads.parse(WORKLOADS[bed.isa]), bed.isa)
    certain = Counter({name: n for (_, name), n in counts.items()})
    assert len(churn.vcpus) == COUNTS[bed.isa] * short_vms.VCPUS
    assert exits(getattr(churn, reports), bed) == dict.fromkeys(churn.vcpus, certain)


def test_counters_of_vms_that_have_ended_are_freed(churn: Churn) -> None:
    used = churn.maps["threads"]
    assert used["used"] <= used["size"] // 4
