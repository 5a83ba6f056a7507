"""Intel VMX: the basic exit reasons of the SDM's appendix C, and how KVM tells of them."""

from __future__ import annotations

from kstats.arch.base import (
    BtfField,
    Category,
    ExitSource,
    Isa,
    NameTable,
    Probe,
    RecordField,
    SlotRange,
)
from kstats.arch.details import DetailEvent
from kstats.arch.tables import reasons
from kstats.arch.x64 import details, spellings, trace_format
from kstats.arch.x64.notes import CPUID_IS_HERE, HALTS_UNSEEN, SHADOW_PAGING, X2APIC_IS_HERE
from kstats.arch.x64.vmx_advice import ADVICE
from kstats.arch.x64.vmx_meanings import MEANINGS
from kstats.arch.x64.vmx_names import FLAGS, NAMES

HEADER_NAMES = {6: "OTHER_SMI", 76: "SEAMCALL"}
"""EXIT_REASON_* of asm/vmx.h that are not in the table the kernel prints."""

COLUMNS = {
    "ints": ["EXTERNAL_INTERRUPT"],
    "ints_win": ["INTERRUPT_WINDOW"],
    "ept": ["EPT_VIOLATION"],
    "ctrl_reg": ["CR_ACCESS"],
    "msr_rd": ["MSR_READ", "MSR_READ_IMM"],
    "msr_wr": ["MSR_WRITE", "MSR_WRITE_IMM"],
    "inst_io": ["IO_INSTRUCTION"],
    "inst_hlt": ["HLT"],
    "inst_cpuid": ["CPUID"],
    "inst_ple": ["PAUSE_INSTRUCTION"],
    "inst_vmcall": ["VMCALL"],
    "inst_xsetbv": ["XSETBV"],
}

CATEGORIES = {
    Category.INTERRUPT: [
        "EXTERNAL_INTERRUPT",
        "INTERRUPT_WINDOW",
        "NMI_WINDOW",
        "INIT_SIGNAL",
        "SIPI_SIGNAL",
        "OTHER_SMI",
        "PREEMPTION_TIMER",
        "TPR_BELOW_THRESHOLD",
        "APIC_ACCESS",
        "APIC_WRITE",
        "EOI_INDUCED",
    ],
    Category.MEMORY: ["EPT_VIOLATION", "EPT_MISCONFIG", "PML_FULL", "INVLPG", "INVPCID"],
    Category.IO: ["IO_INSTRUCTION"],
    Category.REGISTER: [
        "CR_ACCESS",
        "DR_ACCESS",
        "MSR_READ",
        "MSR_READ_IMM",
        "MSR_WRITE",
        "MSR_WRITE_IMM",
        "GDTR_IDTR",
        "LDTR_TR",
        "XSETBV",
        "CPUID",
        "RDTSC",
        "RDTSCP",
        "RDPMC",
    ],
    Category.IDLE: ["HLT", "MWAIT_INSTRUCTION", "MONITOR_INSTRUCTION", "UMWAIT", "TPAUSE"],
    Category.SPIN: ["PAUSE_INSTRUCTION"],
    Category.HYPERCALL: ["VMCALL", "TDCALL"],
    Category.EXCEPTION: ["EXCEPTION_NMI", "TRIPLE_FAULT"],
}

CATEGORY_NOTES = {
    Category.INTERRUPT: (
        "The preemption timer is here, because KVM drives the guest's APIC timer with it.",
        "NMIs of the host are not here: VMX reports them as `EXCEPTION_NMI`, in `exception`.",
    ),
    Category.MEMORY: (
        (
            "MMIO is `EPT_MISCONFIG` (the first access to a page: `EPT_VIOLATION`), so the reasons"
            " can tell it from missing memory, which other ISAs cannot."
        ),
        SHADOW_PAGING.format("`INVLPG` and `INVPCID`"),
    ),
    Category.REGISTER: (CPUID_IS_HERE, X2APIC_IS_HERE),
    Category.IDLE: (HALTS_UNSEEN,),
    Category.HYPERCALL: (
        (
            "A TDX guest's requests count as what they ask for (`CPUID`, `IO_INSTRUCTION`, ...);"
            " the rest is `TDCALL`."
        ),
    ),
    Category.EXCEPTION: (
        (
            "`EXCEPTION_NMI` is one code for all of them, and for NMIs of the host. On a host"
            " whose perf uses NMIs it grows with the sampling rate."
        ),
    ),
}

BASIC_REASON = 0xFFFF
"""SDM vol. 3C 25.9.1: the low 16 bits are the reason, the others qualify it."""

VMX = Isa(
    name="vmx",
    title="Intel VMX",
    reasons=reasons(NAMES | HEADER_NAMES, COLUMNS, CATEGORIES, MEANINGS),
    flags=FLAGS,
    flag_mask=0xFFFF_FFFF & ~BASIC_REASON,
    failed_mask=1 << 31,
    tables=(
        NameTable("REC->exit_reason & 0xffff"),
        NameTable("REC->exit_reason & ~0xffff", kind="flags"),
    ),
    category_notes=CATEGORY_NOTES,
    spellings=spellings.VMX,
    advice=ADVICE,
    event=trace_format.VMX,
    details=details.kinds(
        msr=(31, 32),
        io=(30,),
        mmio=(48, 49),
        hypercall=(18,),
        cr=(28,),
    ),
)

# struct vcpu_vmx begins with the kvm_vcpu that the tracepoint passes. The reason moved into
# vcpu_vt with "KVM: VMX: Move common fields of struct vcpu_{vmx,tdx} to a struct" (6.16).
_REASON = BtfField("EXIT_REASON_OFFSET", ("vcpu_vmx.vt.exit_reason", "vcpu_vmx.exit_reason"))

_RAW = (
    Probe("raw-cast", "raw", "KSTATS_RAW_CAST", args=2, btf=(_REASON,), direct=True),
    Probe("raw-btf", "raw", "KSTATS_RAW_BTF", args=2, btf=(_REASON,)),
    Probe("raw-arg", "raw", "KSTATS_RAW_ARG", args=3),
)
_CLASSIC = Probe(
    "classic",
    "classic",
    "KSTATS_CLASSIC",
    record=(RecordField("REC_EXIT_REASON", "exit_reason"), RecordField("REC_ISA", "isa")),
)

# The exit qualification is read from the processor, and for the record only.
_QUALIFIED = details.with_record(_CLASSIC, RecordField("REC_INFO1", "info1"))

# The guest-physical address of a fault is told by what KVM does about it.
_FAULTS = (
    DetailEvent("kvm_page_fault", "on_page_fault", "PAGE_FAULT_ARGS"),
    DetailEvent("kvm_mmio", "on_mmio"),
    DetailEvent("kvm_fast_mmio", "on_fast_mmio"),
)

SOURCE = ExitSource(
    isa="vmx",
    define="KSTATS_VMX",
    modules=("kvm_intel",),
    cpu_flag="vmx",
    probes=(*_RAW, _CLASSIC),
    slots=(SlotRange(0, 128),),
    details=details.sources(
        registers=_RAW, info=(_QUALIFIED,), cr=(_QUALIFIED,), mmio=(*_RAW, _CLASSIC), events=_FAULTS
    ),
)
