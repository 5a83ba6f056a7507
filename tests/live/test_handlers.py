"""``kstats exits --by handler`` in emulated KVM hosts: the VMM knows why KVM_RUN returned to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from lab.vmm.layout import layout
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.kstats import Watch, here, wait_attached, watching

pytestmark = pytest.mark.host

in_all = pytest.mark.parametrize(
    "bed",
    beds("svm", "svm-5.10", "svm-6.12", "arm64"),
    indirect=True,
    scope="session",
)

_X64 = "cpuid=211,io@0x80=41,in@0x71=5,rdmsr=53,page=3,mmio@0x10=53,hlt=17,irqwin=7,cr0=29"
_LOADS = {
    "svm": _X64,
    "vmx": _X64,
    "arm64": "hypercall=211,sys64=53,page=3,exec=5,mmio@0x10=53",
}
_HANDLERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "svm": {"IO": ("io",), "HLT": ("hlt",), "IRQ_WINDOW_OPEN": ("vintr",), "MMIO": ("npf",)},
    "vmx": {
        "IO": ("IO_INSTRUCTION",),
        "HLT": ("HLT",),
        "IRQ_WINDOW_OPEN": ("INTERRUPT_WINDOW",),
        "MMIO": ("EPT_VIOLATION", "EPT_MISCONFIG"),
    },
    "arm64": {"MMIO": ("DABT_LOW",)},
}
"""ISA -> what KVM_RUN returns -> the reasons that lead to it."""

VCPUS = 2
BY = "cpu,tid,reason,handler"
RECORDING = "/run/handlers.kstats"


@attrs.frozen
class Seen:
    """What kstats counted: all exits, and those with an address; and the VMM's reports."""

    vcpus: tuple[Mapping[str, Any], ...]
    exits: dict[str, Any]
    addresses: dict[str, Any]

    def by_handler(self, vcpu: int) -> Counter[tuple[str, str]]:
        """Return a vCPU's exits by reason, without its qualifier, and handler."""
        counts: Counter[tuple[str, str]] = Counter()
        for row in self.exits["rows"]:
            if row["tid"] == self.vcpus[vcpu]["tid"]:
                counts[row["reason"].partition(":")[0], row["handler"]] += row["count"]
        return counts

    def returns(self, vcpu: int) -> Counter[str]:
        """Return a vCPU's returns of KVM_RUN as its thread saw them, without interrupted ones."""
        returns = Counter(self.vcpus[vcpu]["user_exits"])
        del returns["INTR"]
        return returns


@pytest.fixture(scope="module")
def seen(bed: Bed, host: Host) -> Seen:
    with (
        watching(host, "exits", "--by", BY, "--record", RECORDING) as exits,
        watching(host, "exits", "--by", "tid,detail,handler", "--detail", "mmio") as addresses,
    ):
        wait_attached(exits, addresses)
        moving = ("--cpu", "0", "--move", str(bed.pinned))
        with guest(host, "--vcpus", str(VCPUS), *moving, "--workload", _LOADS[bed.isa]) as report:
            reports = only(exits.stop()), only(addresses.stop())
    (vm,) = report["vms"]
    return Seen(tuple(vm["vcpus"]), *reports)


def only(watch: Watch) -> dict[str, Any]:
    (report,) = watch.reports
    return report


@in_all
@pytest.mark.parametrize("vcpu", range(VCPUS))
def test_exits_that_went_to_the_vmm_are_its_returns(bed: Bed, seen: Seen, vcpu: int) -> None:
    found = seen.by_handler(vcpu)
    returns = seen.returns(vcpu)
    assert returns.keys() == _HANDLERS[bed.isa].keys()
    for handler, reasons in _HANDLERS[bed.isa].items():
        assert sum(found.pop((reason, handler), 0) for reason in reasons) == returns[handler]
    # A signal may end KVM_RUN after any exit, but not more often than the VMM saw it.
    interrupted = sum(n for (_, handler), n in found.items() if handler == "INTR")
    assert interrupted <= seen.vcpus[vcpu]["user_exits"].get("INTR", 0)
    assert {handler for _, handler in found} <= {"kernel", "INTR"}


@in_all
@pytest.mark.parametrize("vcpu", range(VCPUS))
def test_the_handlers_sum_to_the_exits(bed: Bed, seen: Seen, vcpu: int) -> None:
    load = workloads.parse(_LOADS[bed.isa])
    counts: Counter[str] = Counter()
    for (reason, _), n in seen.by_handler(vcpu).items():
        counts[reason] += n
    known = workloads.expected(load, bed.isa, moves=True)
    assert {name: counts[name] for _, name in known} == {name: n for (_, name), n in known.items()}


@in_all
def test_the_address_that_makes_the_vmm_work_is_known(bed: Bed, seen: Seen) -> None:
    windows = layout(workloads.parse(_LOADS[bed.isa]), VCPUS).windows
    for vcpu, window in zip(seen.vcpus, windows, strict=True):
        device = hex(window.device + 0x10)
        written = f"write {device}", f"write {device}/4"
        rows = [row for row in seen.addresses["rows"] if row["detail"] in written]
        assert {(row["tid"], row["handler"]) for row in rows} == {(vcpu["tid"], "MMIO")}
        assert sum(row["count"] for row in rows) == 53


@in_all
def test_nothing_is_dropped(seen: Seen) -> None:
    for report in (seen.exits, seen.addresses):
        assert (report["handler_dropped"], report["code_dropped"], report["missed"]) == (0, 0, 0)
        assert all(row["handler"] != "?" for row in report["rows"])
        assert report["notes"] == []


@in_all
def test_a_recording_has_the_handlers(host: Host, seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "handlers.kstats"
    file.write_bytes(host.get(RECORDING))
    shown = here("exits", "--by", BY, "-f", "json", "--input", str(file))
    assert json.loads(shown) == seen.exits
