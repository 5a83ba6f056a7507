"""How the kernel reports ARM64 exits, and their details."""

from __future__ import annotations

from kstats.arch.arm64.isa import RETURN_CODE
from kstats.arch.base import (
    NUMBER_BITS,
    BtfField,
    DetailSource,
    ExitSource,
    Probe,
    RecordField,
    SlotRange,
)

_RAW = Probe("raw", "raw", "KSTATS_RAW", args=3)
_CLASSIC = Probe(
    "classic",
    "classic",
    "KSTATS_CLASSIC",
    record=(RecordField("REC_RET", "ret"), RecordField("REC_ESR_EC", "esr_ec")),
)

# The tracepoint does not pass the vCPU: the C finds it through the running task's notifiers.
_VCPU = (
    BtfField("TASK_NOTIFIERS_OFFSET", ("task_struct.preempt_notifiers",)),
    BtfField("VCPU_NOTIFIER_OFFSET", ("kvm_vcpu.preempt_notifier.link",)),
)
_SYNDROME = BtfField("ESR_OFFSET", ("kvm_vcpu.arch.fault.esr_el2",))
_FAULT = (
    _SYNDROME,
    BtfField("FAR_OFFSET", ("kvm_vcpu.arch.fault.far_el2",)),
    BtfField("HPFAR_OFFSET", ("kvm_vcpu.arch.fault.hpfar_el2",)),
)
_REGISTERS = BtfField("GUEST_REGISTERS_OFFSET", ("kvm_vcpu.arch.ctxt.regs",))


def _detail(name: str, *fields: BtfField, defines: tuple[str, ...]) -> DetailSource:
    return DetailSource(name, defines, (_RAW._replace(btf=(*_VCPU, *fields)),))


_ADDRESS = "KSTATS_DETAIL_ADDRESS"

ARM64 = ExitSource(
    isa="arm64",
    probes=(_RAW, _CLASSIC),
    slots=(SlotRange(0, 64), SlotRange(RETURN_CODE << NUMBER_BITS, 4)),
    details=(
        _detail("sysreg", _SYNDROME, defines=("KSTATS_DETAIL_SYSREG",)),
        _detail("mmio", *_FAULT, defines=(_ADDRESS,)),
        _detail("page", *_FAULT, defines=(_ADDRESS, "KSTATS_DETAIL_PAGES")),
        _detail("hypercall", _REGISTERS, defines=("KSTATS_DETAIL_HYPERCALL",)),
    ),
)
