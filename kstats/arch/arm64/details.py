"""What more exits of ARM64 tell."""

from __future__ import annotations

import attrs

from kstats.arch.arm64.hypercall_names import HYPERCALLS
from kstats.arch.arm64.sysreg_names import SYSREGS
from kstats.arch.base import BtfField, Probe
from kstats.arch.details import Detail, DetailSource


def sysreg(number: int) -> str:
    """A system register as the assembler knows it: ``S3_0_C0_C4_0`` (Arm ARM C5.1.2)."""
    op0, op1, crn, crm, op2 = (number >> shift for shift in (14, 11, 7, 3, 0))
    return f"S{op0}_{op1 & 7}_C{crn & 15}_C{crm & 15}_{op2 & 7}"


_FAULTS = frozenset({0x20, 0x24})

KINDS = (
    Detail("sysreg", "system registers", frozenset({0x18}), SYSREGS, sysreg),
    Detail("mmio", "guest-physical addresses", _FAULTS),
    Detail("page", "guest-physical addresses, by page", _FAULTS),
    Detail(
        "hypercall", "functions of HVC and SMC", frozenset({0x12, 0x13, 0x16, 0x17}), HYPERCALLS
    ),
)

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


def sources(probe: Probe) -> tuple[DetailSource, ...]:
    """How each kind is told where exits come through ``probe``."""

    def source(name: str, *fields: BtfField, defines: tuple[str, ...]) -> DetailSource:
        return DetailSource(name, defines, (attrs.evolve(probe, btf=(*_VCPU, *fields)),))

    address = "KSTATS_DETAIL_ADDRESS"
    return (
        source("sysreg", _SYNDROME, defines=("KSTATS_DETAIL_SYSREG",)),
        source("mmio", *_FAULT, defines=(address,)),
        source("page", *_FAULT, defines=(address, "KSTATS_DETAIL_PAGES")),
        source("hypercall", _REGISTERS, defines=("KSTATS_DETAIL_HYPERCALL",)),
    )
