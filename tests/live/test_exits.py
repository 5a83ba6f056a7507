"""``kstats exits`` in emulated KVM hosts, around three VMs.

One has two vCPUs, one two vCPUs that move between CPUs, and one four vCPUs on one CPU. Exits are
counted once, on all axes. On VMX the distribution's kvmexit (bcc) counts at the same time.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import attrs
import pytest

from kstats.importers import decode
from kstats.views.exits import count_by
from lab.hosts import Host
from lab.hosts.command import Command
from lab.vmm import workload as workloads
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.kstats import Watch, wait_attached, watching

pytestmark = pytest.mark.host


def in_hosts(*recipes: str) -> pytest.MarkDecorator:
    """Run a test in these hosts."""
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


# One host per ISA: test_percpu tests the probes, and threads are found in the same way on all.
in_all = in_hosts("svm", "arm64", "vmx")

Exits = Counter[tuple[str, ...]]

LOADS: Mapping[str, tuple[str, ...]] = {
    "x64": (
        "cpuid=1009,rdmsr=307,wrmsr=151,io=83",
        "cpuid=211,hypercall=53,io=41",
        "cpuid=500,io=20",
    ),
    "arm64": (
        "hypercall=1009,smc=53,mmio=83",
        "hypercall=211,sys64=307,mmio=41",
        "hypercall=500,mmio=20",
    ),
}
STILL, MOVED, CROWDED = range(3)


@attrs.frozen
class Fleet:
    """The VMMs' reports, and the exits counted on all axes.

    ``rows`` are those of ``kstats exits``, ``scarce`` those with the smallest map for threads, and
    ``theirs`` is the output of bcc's kvmexit.
    """

    vms: tuple[dict[str, Any], ...]
    loads: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    scarce: Watch
    theirs: str


@pytest.fixture(scope="module")
def fleet(bed: Bed, host: Host) -> Fleet:
    loads = LOADS["arm64" if bed.isa == "arm64" else "x64"]
    places = (
        ("--vcpus", "2", "--cpu", "0,1"),
        ("--vcpus", "2", "--cpu", "0", "--move", "1"),
        ("--vcpus", "4", "--cpu", "1"),
    )
    with (
        watching(host, "exits", "--by", "cpu,pid,tid,vcpu,reason") as watch,
        watching(host, "exits", "--by", "cpu,tid,reason", "--map-entries", "1") as scarce,
        bcc_kvmexit(host) if bed.isa == "vmx" else nullcontext() as bcc,
        ExitStack() as guests,
    ):
        wait_attached(watch, scarce)
        reports = [
            guests.enter_context(guest(host, *place, "--workload", load))
            for place, load in zip(places, loads, strict=True)
        ]
        watch.stop()
        scarce.stop()
        theirs = bcc.stop().check().stdout if bcc else ""
    vms = tuple(report["vms"][0] for report in reports)
    return Fleet(vms, loads, rows_of(watch), scarce, theirs)


BCC = """
import bcc, runpy, sys
# Its raw tracepoint expects the exit reason as the first argument, which is the vCPU since 5.16, so
# it counts nothing. Make it use the classic tracepoint, as on kernels without raw ones in modules.
bcc.BPF.support_raw_tracepoint_in_module = staticmethod(lambda: False)
sys.argv = ["kvmexit"]
runpy.run_path("/usr/sbin/kvmexit-bpfcc", run_name="__main__")
"""


@contextmanager
def bcc_kvmexit(host: Host) -> Iterator[Command]:
    """Run the distribution's kvmexit until the block ends."""
    # It includes a kernel header that kstats' replacement does not have, but uses nothing of it.
    headers = "/run/headers"
    host.run(
        f"cp -r /payload/site/kstats/bpf/headers {headers}; touch {headers}/include/linux/delay.h"
    ).check()
    env = {"BCC_KERNEL_SOURCE": headers}
    with host.start(["python3", "-u", "-c", BCC], env=env) as command:
        command.wait_output("Display kvm exit reasons")
        yield command


def rows_of_bcc(text: str) -> Exits:
    """Return its rows by (pid, tid, reason)."""
    lines = text.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("PID"))
    cells = [line.split() for line in lines[header + 1 :]]
    return Counter({(pid, tid, reason): int(count) for pid, tid, reason, count in cells})


def rows_of(watch: Watch) -> tuple[dict[str, Any], ...]:
    return tuple(watch.rows())


def counted(fleet: Fleet, isa: str, **where: int) -> Counter[str]:
    """Return the certain exits of matching rows, by reason."""
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


@in_all
@pytest.mark.parametrize("vm", [STILL, MOVED], ids=["still", "moved"])
@pytest.mark.parametrize("vcpu", [0, 1])
def test_the_exits_of_each_thread_are_counted_exactly(
    bed: Bed, fleet: Fleet, vm: int, vcpu: int
) -> None:
    report = fleet.vms[vm]
    tid = report["vcpus"][vcpu]["tid"]
    wanted = expected(fleet.loads[vm], bed.isa, moves=vm == MOVED)
    assert counted(fleet, bed.isa, pid=report["pid"], tid=tid) == wanted
    assert counted(fleet, bed.isa, tid=tid, vcpu=vcpu) == wanted
    assert counted(fleet, bed.isa, pid=report["pid"], vcpu=vcpu) == wanted


@in_all
@pytest.mark.parametrize("vcpu", [0, 1])
def test_a_pinned_vcpu_is_on_its_cpu(bed: Bed, fleet: Fleet, vcpu: int) -> None:
    wanted = expected(fleet.loads[STILL], bed.isa, moves=False)
    assert counted(fleet, bed.isa, pid=fleet.vms[STILL]["pid"], cpu=vcpu) == wanted


@in_all
@pytest.mark.parametrize("vcpu", [0, 1])
def test_a_moving_vcpu_is_split_where_it_moved(bed: Bed, fleet: Fleet, vcpu: int) -> None:
    tid = fleet.vms[MOVED]["vcpus"][vcpu]["tid"]
    halves = workloads.expected_halves(workloads.parse(fleet.loads[MOVED]), bed.isa)
    for cpu, half in enumerate(halves):
        wanted = Counter({name: n for (_, name), n in half.items() if n})
        assert counted(fleet, bed.isa, tid=tid, cpu=cpu) == wanted


@in_all
def test_with_a_small_map_exits_are_unattributed_but_counted(bed: Bed, fleet: Fleet) -> None:
    (report,) = fleet.scarce.reports
    everything = attrs.evolve(fleet, rows=tuple(report["rows"]))
    assert counted(everything, bed.isa) == counted(fleet, bed.isa)
    for cpu in (0, 1):
        assert counted(everything, bed.isa, cpu=cpu) == counted(fleet, bed.isa, cpu=cpu)
    lost = sum(row["count"] for row in report["rows"] if row["tid"] == "?")
    assert lost > sum(row["count"] for row in report["rows"]) / 2
    first, by_vm = report["notes"]
    assert first.split()[:3] == [str(lost), "unattributed", "exits:"]
    assert by_vm.startswith("unattributed exits by VM: ")


@in_hosts("vmx")
def test_bccs_kvmexit_counts_the_same(fleet: Fleet) -> None:
    ours: Exits = Counter()
    for row in fleet.rows:
        ours[str(row["pid"]), str(row["tid"]), row["reason"]] += row["count"]
    theirs = rows_of_bcc(fleet.theirs)
    assert len(theirs) > 12
    assert theirs == ours


@in_hosts("vmx")
def test_bccs_kvmexit_is_decoded(fleet: Fleet) -> None:
    (sample,) = decode(io.BytesIO(fleet.theirs.encode()))
    assert sample.notes == ()
    decoded = count_by(sample, ("pid", "tid", "reason"))
    printed = rows_of_bcc(fleet.theirs).items()
    assert decoded == {(int(pid), int(tid), reason): n for (pid, tid, reason), n in printed}


@in_all
def test_vcpu_numbers_are_those_of_the_vmm(fleet: Fleet) -> None:
    threads = {vcpu["tid"]: vcpu["vcpu"] for vm in fleet.vms for vcpu in vm["vcpus"]}
    assert len(threads) == 2 + 2 + 4
    assert {row["tid"]: row["vcpu"] for row in fleet.rows} == threads


@in_all
@pytest.mark.parametrize("vcpu", range(4))
def test_four_vcpus_on_one_cpu_are_counted_separately(bed: Bed, fleet: Fleet, vcpu: int) -> None:
    tid = fleet.vms[CROWDED]["vcpus"][vcpu]["tid"]
    wanted = expected(fleet.loads[CROWDED], bed.isa, moves=False)
    assert counted(fleet, bed.isa, tid=tid, cpu=1) == wanted
    assert counted(fleet, bed.isa, tid=tid) == wanted
