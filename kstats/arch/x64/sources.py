"""How the kernel reports VMX and SVM exits, and their details."""

from __future__ import annotations

from kstats.arch.base import (
    BtfField,
    DetailEvent,
    DetailSource,
    ExitSource,
    Probe,
    RecordField,
    SlotRange,
)
from kstats.arch.x64.svm import MSR_READ, MSR_WRITE

_REGISTERS = BtfField("GUEST_REGISTERS_OFFSET", ("kvm_vcpu.arch.regs",))

# struct vcpu_vmx begins with the kvm_vcpu that the tracepoint passes. The reason moved into
# vcpu_vt with "KVM: VMX: Move common fields of struct vcpu_{vmx,tdx} to a struct" (6.16).
_REASON = BtfField("EXIT_REASON_OFFSET", ("vcpu_vmx.vt.exit_reason", "vcpu_vmx.exit_reason"))

# The C reads exit_code and exit_info_1, its neighbour in the hardware's layout, in one go.
_VMCB = (
    BtfField("VMCB_OFFSET", ("vcpu_svm.vmcb",)),
    BtfField("EXIT_CODE_OFFSET", ("vmcb.control.exit_code",)),
)
_INFO = BtfField("EXIT_INFO_OFFSET", ("vmcb.control.exit_info_1",))

_VMX_RAW = (
    Probe("raw-cast", "raw", "KSTATS_RAW_CAST", args=2, btf=(_REASON,), direct=True),
    Probe("raw-btf", "raw", "KSTATS_RAW_BTF", args=2, btf=(_REASON,)),
    Probe("raw-arg", "raw", "KSTATS_RAW_ARG", args=3),
)
_SVM_RAW = (
    Probe("raw-cast", "raw", "KSTATS_RAW_CAST", args=2, btf=_VMCB, direct=True),
    Probe("raw-btf", "raw", "KSTATS_RAW_BTF", args=2, btf=_VMCB),
    # Before 5.16 the code is an argument, but the direction of an MSR access is not. Kernels
    # without module BTF (before 5.11) provide it in the classic record only.
    Probe("raw-arg", "raw", "KSTATS_RAW_ARG", args=3, btf=_VMCB),
)
_VMX_CLASSIC = Probe(
    "classic",
    "classic",
    "KSTATS_CLASSIC",
    record=(RecordField("REC_EXIT_REASON", "exit_reason"), RecordField("REC_ISA", "isa")),
)


def _with_btf(probe: Probe, *fields: BtfField) -> Probe:
    return probe._replace(btf=(*probe.btf, *fields))


def _with_record(probe: Probe, *fields: RecordField) -> Probe:
    return probe._replace(record=(*probe.record, *fields))


_VMX_INFO1 = _with_record(_VMX_CLASSIC, RecordField("REC_INFO1", "info1"))
_SVM_CLASSIC = _VMX_INFO1  # SVM needs EXITINFO1 for the direction of an MSR access
_SVM_INFO = (
    *(_with_btf(probe, _INFO) for probe in _SVM_RAW),
    _with_record(_SVM_CLASSIC, RecordField("REC_INFO2", "info2")),
)


def _details(
    *,
    registers: tuple[Probe, ...],
    info: tuple[Probe, ...],
    cr: tuple[Probe, ...],
    mmio: tuple[Probe, ...],
    events: tuple[DetailEvent, ...] = (),
) -> tuple[DetailSource, ...]:
    """Return a source for each kind of detail.

    ``registers`` are the probes that pass the vCPU, so that the guest's registers can be read.
    """
    with_registers = tuple(_with_btf(probe, _REGISTERS) for probe in registers)
    address = "KSTATS_DETAIL_ADDRESS"
    return (
        DetailSource("msr", ("KSTATS_DETAIL_MSR",), with_registers),
        DetailSource("io", ("KSTATS_DETAIL_IO",), info),
        DetailSource("mmio", (address,), mmio, events),
        DetailSource("page", (address, "KSTATS_DETAIL_PAGES"), mmio, events),
        DetailSource("hypercall", ("KSTATS_DETAIL_HYPERCALL",), with_registers),
        DetailSource("cr", ("KSTATS_DETAIL_CR",), cr),
    )


VMX = ExitSource(
    isa="vmx",
    define="KSTATS_VMX",
    modules=("kvm_intel",),
    cpu_flag="vmx",
    probes=(*_VMX_RAW, _VMX_CLASSIC),
    slots=(SlotRange(0, 128),),
    details=_details(
        registers=_VMX_RAW,
        # KVM reads the exit qualification from the processor for the classic record only.
        info=(_VMX_INFO1,),
        cr=(_VMX_INFO1,),
        # KVM reports the guest-physical address of a fault while it handles the fault.
        mmio=(*_VMX_RAW, _VMX_CLASSIC),
        events=(
            DetailEvent("kvm_page_fault", "on_page_fault", "PAGE_FAULT_ARGS"),
            DetailEvent("kvm_mmio", "on_mmio"),
            DetailEvent("kvm_fast_mmio", "on_fast_mmio"),
        ),
    ),
)

SVM = ExitSource(
    isa="svm",
    define="KSTATS_SVM",
    modules=("kvm_amd",),
    cpu_flag="svm",
    probes=(*_SVM_RAW, _SVM_CLASSIC),
    slots=(
        SlotRange(0, 256),
        SlotRange(MSR_READ, 1),
        SlotRange(MSR_WRITE, 1),
        SlotRange(0x400, 16),
        SlotRange(0x8000_0000, 32),
    ),
    details=_details(
        registers=_SVM_RAW, info=_SVM_INFO, cr=(*_SVM_RAW, _SVM_CLASSIC), mmio=_SVM_INFO
    ),
)
