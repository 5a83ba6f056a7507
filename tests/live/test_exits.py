"""``kstats exits`` in emulated KVM hosts: two VMs, two vCPUs each, one of them moving."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from tests.hosts import Host
from tests.live.conftest import Bed, beds
from tests.live.guests import VMM, guest
from tests.live.kstats import Watch, wait_attached, watching
from tests.vmm import workload as workloads

pytestmark = [
    pytest.mark.host,
    # How exits are read is the other file's matter; how threads are told apart is the same there.
    pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session"),
]

Exits = Counter[tuple[str, ...]]

LOADS: Mapping[str, tuple[str, str]] = {
    "x64": ("cpuid=1009,rdmsr=307,wrmsr=151,io=83", "cpuid=211,hypercall=53,io=41"),
    "arm64": ("hypercall=1009,smc=53,mmio=83", "hypercall=211,sys64=307,mmio=41"),
}


@attrs.frozen
class Fleet:
    """What two VMs did, as their VMMs tell, and as kstats counted it on every axis at once."""

    vms: tuple[dict[str, Any], ...]
    loads: tuple[str, str]
    rows: tuple[dict[str, Any], ...]


def loads(bed: Bed) -> tuple[str, str]:
    return LOADS["arm64" if bed.isa == "arm64" else "x64"]


@pytest.fixture(scope="module")
def fleet(bed: Bed, host: Host) -> Fleet:
    first, second = loads(bed)
    with watching(host, "exits", "--by", "cpu,pid,tid,vcpu,reason") as watch:
        wait_attached(watch)
        with (
            guest(host, "--vcpus", "2", "--cpu", "0,1", "--workload", first) as still,
            guest(host, "--vcpus", "2", "--cpu", "0", "--move", "1", "--workload", second) as moved,
        ):
            watch.stop()
    return Fleet((still["vms"][0], moved["vms"][0]), (first, second), rows_of(watch))


def rows_of(watch: Watch) -> tuple[dict[str, Any], ...]:
    return tuple(watch.rows())


def counted(fleet: Fleet, isa: str, **where: int) -> Counter[str]:
    """Exits by reason in the rows that match, without what may come in any number."""
    vague = {
        exit_.name
        for load in fleet.loads
        for exit_ in workloads.inexact(workloads.parse(load), isa)
    }
    found: Counter[str] = Counter()
    for row in fleet.rows:
        if all(row[axis] == value for axis, value in where.items()):
            found[row["reason"].partition(":")[0]] += row["count"]
    return Counter({name: n for name, n in found.items() if name not in vague})


def expected(load: str, isa: str, *, moves: bool) -> Counter[str]:
    counts = workloads.expected(workloads.parse(load), isa, moves=moves)
    return Counter({name: n for (_, name), n in counts.items()})


@pytest.mark.parametrize("vm", [0, 1], ids=["still", "moved"])
@pytest.mark.parametrize("vcpu", [0, 1])
def test_every_thread_has_its_own_exits_to_the_unit(
    bed: Bed, fleet: Fleet, vm: int, vcpu: int
) -> None:
    report = fleet.vms[vm]
    tid = report["vcpus"][vcpu]["tid"]
    wanted = expected(fleet.loads[vm], bed.isa, moves=vm == 1)
    assert counted(fleet, bed.isa, pid=report["pid"], tid=tid) == wanted


@pytest.mark.parametrize("vcpu", [0, 1])
def test_a_moving_vcpu_is_split_where_it_moved(bed: Bed, fleet: Fleet, vcpu: int) -> None:
    tid = fleet.vms[1]["vcpus"][vcpu]["tid"]
    halves = workloads.expected_halves(workloads.parse(fleet.loads[1]), bed.isa)
    for cpu, half in enumerate(halves):
        wanted = Counter({name: n for (_, name), n in half.items() if n})
        assert counted(fleet, bed.isa, tid=tid, cpu=cpu) == wanted


def test_vcpu_numbers_are_the_vmms(bed: Bed, host: Host) -> None:
    options = ("--wait", "--forever", "--period", "0.2", "--vcpus", "2")
    words = [*VMM, *options, "--workload", loads(bed)[0]]
    with host.start(words, stdin=b"\n", timeout=600) as vmm:
        vmm.wait_output('"ready"')
        (told,) = json.loads(vmm.stdout.splitlines()[0])["ready"]
        counted = host.run(["kstats", "exits", "--by", "tid,vcpu", "-o", "json", "5"], timeout=300)
    numbers = {(row["tid"], row["vcpu"]) for row in json.loads(counted.check().stdout)["rows"]}
    assert numbers == {(vcpu["tid"], vcpu["vcpu"]) for vcpu in told["vcpus"]}


FOUR = "cpuid=500,io=20"


def test_four_vcpus_on_one_cpu_are_told_apart(bed: Bed, host: Host) -> None:
    load = FOUR if bed.isa != "arm64" else "hypercall=500,mmio=20"
    with watching(host, "exits", "--by", "cpu,tid,reason") as watch:
        wait_attached(watch)
        with guest(host, "--vcpus", "4", "--cpu", "1", "--workload", load) as report:
            watch.stop()
    (vm,) = report["vms"]
    fleet = Fleet((vm,), (load, load), rows_of(watch))
    wanted = expected(load, bed.isa, moves=False)
    for vcpu in vm["vcpus"]:
        assert counted(fleet, bed.isa, tid=vcpu["tid"], cpu=1) == wanted
