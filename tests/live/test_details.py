"""``kstats exits --detail`` in emulated KVM hosts, around a guest with known accesses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from lab.vmm.layout import BELL, PAGE, layout
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.kstats import Watch, wait_attached, watching

pytestmark = pytest.mark.host


def in_hosts(*recipes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


in_all = in_hosts("svm", "svm-5.10", "svm-6.12", "arm64", "vmx-up")

Details = Mapping[str, Mapping[str, int]]
"""Kind -> detail -> how often one vCPU has it."""

_X64 = (
    "rdmsr@0x8b=307,wrmsr@0x79=151,rdmsr@0x1b=7,io@0x80=41,in@0x71=5,mmio@0x10=53,page=3,"
    "cr0=29,cr4=17,call@1=11,call@5=3,call@0x99=2"
)
_ARM64 = (
    "sys64@0=307,sys64@1=53,sys64@2=7,wrsys64=11,mmio@0x10=53,page=3,call@0x84000000=41,"
    "call@0x84000006=5,call@0xc6001234=2,smc=3"
)
_ISA_LOADS = {"svm": f"{_X64},rdcr4=5", "vmx": _X64, "arm64": _ARM64}

_X64_DETAILS: Details = {
    "msr": {
        "read MSR_IA32_UCODE_REV(0x8b)": 307,
        "write MSR_IA32_UCODE_WRITE(0x79)": 151,
        "read MSR_IA32_APICBASE(0x1b)": 7,
    },
    "io": {"out 0x80/1": 41, "in 0x71/1": 5, "out 0xf4/4": 2},  # rings of the doorbell
    "hypercall": {"KVM_HC_VAPIC_POLL_IRQ(0x1)": 11, "KVM_HC_KICK_CPU(0x5)": 3, "0x99": 2},
}
_DETAILS: Mapping[str, Details] = {
    "svm": {
        **_X64_DETAILS,
        "cr": {"write cr0": 29, "write cr4": 17, "read cr4": 5},
        "mmio": {"write {device}": 53, "write {heap}": 1},
        "page": {"write {device_page}": 53, "write {heap}": 1},
    },
    # The first access finds no mapping and is a fault; KVM emulates the others.
    "vmx": {
        **_X64_DETAILS,
        "cr": {"write cr0": 29, "write cr4": 17},
        "mmio": {"write {device}": 1, "write {device}/4": 52, "write {heap}": 1},
        "page": {"write {device_page}": 53, "write {heap}": 1},
    },
    "arm64": {
        "sysreg": {
            "read ID_AA64PFR0_EL1(S3_0_C0_C4_0)": 307,
            "read ID_AA64ISAR0_EL1(S3_0_C0_C6_0)": 53,
            "read ID_AA64MMFR0_EL1(S3_0_C0_C7_0)": 7,
            "write OSLAR_EL1(S2_0_C1_C0_4)": 11,
        },
        "hypercall": {
            "PSCI_0_2_FN_PSCI_VERSION(0x84000000)": 44,  # three by SMC
            "PSCI_0_2_FN_MIGRATE_INFO_TYPE(0x84000006)": 5,
            "0xc6001234": 2,
        },
        "mmio": {"write {device}/4": 53, "write {heap}/4": 1, "write {bell}/4": 2},
        "page": {"write {device_page}": 53, "write {heap}": 1, "write {bell}": 2},
    },
}

KINDS: Mapping[str, tuple[str, ...]] = {
    "svm": ("msr", "io", "hypercall", "cr", "mmio", "page"),
    "svm-5.10": ("io", "cr", "mmio"),
    "svm-6.12": ("msr", "mmio"),
    "arm64": ("sysreg", "hypercall", "mmio", "page"),
    "vmx-up": ("msr", "io", "mmio"),  # each kstats takes long to start there
}

VCPUS = 2
TIMED = "mmio"
DELAY = 2_000_000
"""Nanoseconds that the VMM delays an access to its device."""


@attrs.frozen
class Seen:
    """The reports on a guest, by kind of detail, and the threads of its vCPUs."""

    tids: tuple[int, ...]
    reports: Mapping[str, dict[str, Any]]

    def details(self, kind: str, vcpu: int) -> Counter[str]:
        """Return how often a vCPU has each detail."""
        counts: Counter[str] = Counter()
        for row in self.reports[kind]["rows"]:
            if row["tid"] == self.tids[vcpu]:
                counts[row["detail"]] += row["count"]
        return counts

    def reasons(self, kind: str, vcpu: int) -> Counter[str]:
        """Return how often a vCPU has each reason with this kind of detail."""
        counts: Counter[str] = Counter()
        for row in self.reports[kind]["rows"]:
            if row["tid"] == self.tids[vcpu]:
                counts[row["reason"].partition(":")[0]] += row["count"]
        return counts


@pytest.fixture(scope="module")
def seen(bed: Bed, host: Host) -> Iterator[Seen]:
    """Run one guest, and a kstats for each kind at the same time."""
    with ExitStack() as stack:
        words = ("--by", "tid,reason,detail", "--detail")
        watches = {
            kind: stack.enter_context(
                watching(host, "exits", *(["--latency"] * (kind == TIMED)), *words, kind)
            )
            for kind in KINDS[bed.recipe]
        }
        wait_attached(*watches.values())
        options = ("--vcpus", str(VCPUS), "--cpu", f"0,{bed.pinned}")
        load = ("--delay", str(DELAY // 1000), "--workload", _ISA_LOADS[bed.isa])
        with guest(host, *options, *load) as report:
            reports = {kind: only(watch.stop()) for kind, watch in watches.items()}
        (vm,) = report["vms"]
        yield Seen(tuple(vcpu["tid"] for vcpu in vm["vcpus"]), reports)


def only(watch: Watch) -> dict[str, Any]:
    (report,) = watch.reports
    return report


def wanted(bed: Bed, kind: str, vcpu: int) -> Counter[str]:
    """Return the known details of a vCPU."""
    load = workloads.parse(_ISA_LOADS[bed.isa])
    window = layout(load, VCPUS).windows[vcpu]
    device = window.device + 0x10
    places = {"device": device, "device_page": device & ~0xFFF, "bell": BELL}
    counts: Counter[str] = Counter()
    for text, n in _DETAILS[bed.isa][kind].items():
        for heap in range(window.heap, window.heap + 3 * PAGE, PAGE) if "{heap}" in text else [0]:
            hexed = {name: hex(place) for name, place in (places | {"heap": heap}).items()}
            counts[text.format(**hexed)] += n
    return counts


@in_all
@pytest.mark.parametrize("vcpu", range(VCPUS))
def test_the_details_of_a_guest_are_counted_exactly(bed: Bed, seen: Seen, vcpu: int) -> None:
    for kind in KINDS[bed.recipe]:
        known = wanted(bed, kind, vcpu)
        found = seen.details(kind, vcpu)
        if kind in ("mmio", "page"):  # the vCPU's own code and tables are faulted in as well
            found = Counter({text: n for text, n in found.items() if text in known})
        assert found == known, kind


@in_all
@pytest.mark.parametrize("vcpu", range(VCPUS))
def test_the_details_sum_to_their_reasons(bed: Bed, seen: Seen, vcpu: int) -> None:
    exits = workloads.expected(workloads.parse(_ISA_LOADS[bed.isa]), bed.isa)
    for kind in KINDS[bed.recipe]:
        reasons = seen.reasons(kind, vcpu)
        assert reasons == Counter({name: exits[bed.isa, name] for name in reasons}), kind


@in_all
def test_each_access_takes_as_long_as_its_delay(bed: Bed, seen: Seen) -> None:
    for vcpu in range(VCPUS):
        device = hex(
            layout(workloads.parse(_ISA_LOADS[bed.isa]), VCPUS).windows[vcpu].device + 0x10
        )
        rows = [row for row in seen.reports[TIMED]["rows"] if device in row["detail"]]
        assert sum(row["count"] for row in rows) == 53
        for row in rows:
            assert row["min_ns"] >= DELAY
            assert row["total_ns"] >= row["count"] * DELAY
            assert row["min_ns"] <= row["p50_ns"] <= row["max_ns"]
    assert seen.reports[TIMED]["latency_dropped"] == 0


@in_all
def test_nothing_is_dropped(seen: Seen) -> None:
    for kind, report in seen.reports.items():
        assert (report["detail_dropped"], report["code_dropped"], report["missed"]) == (0, 0, 0), (
            kind
        )
        assert all(row["detail"] != "?" for row in report["rows"]), kind
        assert report["notes"] == [], kind


@in_hosts("svm", "arm64")
def test_kinds_that_the_host_does_not_have_are_refused(bed: Bed, host: Host) -> None:
    other = "msr" if bed.isa == "arm64" else "sysreg"
    done = host.run(["kstats", "exits", "--detail", other, "1"])
    assert done.status == 2
    assert f"{bed.isa} exits have no detail '{other}'" in done.stderr


@in_hosts("svm-5.10")
def test_without_module_btf_registers_cannot_be_read(host: Host) -> None:
    done = host.run(["kstats", "exits", "--detail", "msr", "1"])
    assert done.status == 4
    assert "this kernel offers no way to read exits" in done.stderr


@in_hosts("svm", "arm64")
def test_a_small_map_drops_details_but_no_exits(bed: Bed, host: Host) -> None:
    words = ("--detail", "page", "--map-entries", "8", "--by", "reason,detail")
    with watching(host, "exits", *words) as watch:
        wait_attached(watch)
        with guest(host, "--cpu", "0", "--workload", "page=301"):
            report = only(watch.stop())
    exits = workloads.expected(workloads.parse("page=301"), bed.isa)
    faults = {"npf", "IABT_LOW", "DABT_LOW"}
    counted = sum(row["count"] for row in report["rows"])
    assert counted == sum(n for (_, name), n in exits.items() if name in faults)
    detail_dropped = sum(row["count"] for row in report["rows"] if row["detail"] == "?")
    assert report["detail_dropped"] == detail_dropped > 250
    assert (
        f"{detail_dropped} exits with a dropped detail: counted with the detail ?"
        in report["notes"][-2]
    )
