"""AMD SVM: the exit codes of APM vol. 2 appendix C, and how KVM tells of them.

An MSR exit is one code for reads and writes; bit 0 of EXITINFO1 tells them apart (APM vol. 2
15.11). That bit becomes the code's qualifier, so that ``msr:rd`` and ``msr:wr`` are reasons of
their own.
"""

from __future__ import annotations

from kstats.arch.base import (
    NUMBER_BITS,
    BtfField,
    Category,
    ExitSource,
    Isa,
    NameTable,
    Probe,
    RecordField,
    SlotRange,
)
from kstats.arch.tables import reasons
from kstats.arch.x64 import details, spellings, trace_format
from kstats.arch.x64.notes import CPUID_IS_HERE, HALTS_UNSEEN, SHADOW_PAGING, X2APIC_IS_HERE
from kstats.arch.x64.svm_advice import ADVICE
from kstats.arch.x64.svm_meanings import MEANINGS
from kstats.arch.x64.svm_names import NAMES

MSR = 0x7C
MSR_READ = 1 << NUMBER_BITS | MSR
MSR_WRITE = 2 << NUMBER_BITS | MSR

QUALIFIED_NAMES = {MSR_READ: "msr:rd", MSR_WRITE: "msr:wr"}

HEADER_NAMES = {0x8E: "rdpru"}
"""SVM_EXIT_* of asm/svm.h that KVM intercepts and that are not in the table it prints."""

_CR = [name for code, name in NAMES.items() if code < 0x20 or 0x90 <= code < 0xA0]
_DR = [name for code, name in NAMES.items() if 0x20 <= code < 0x40]
_EXCEPTIONS = [name for code, name in NAMES.items() if 0x40 <= code < 0x60]

COLUMNS = {
    "ints": ["interrupt"],
    "ints_win": ["vintr"],
    "ept": ["npf"],
    "ctrl_reg": [*_CR, "cr0_sel_write"],
    "msr_rd": ["msr:rd"],
    "msr_wr": ["msr:wr"],
    "inst_io": ["io"],
    "inst_hlt": ["hlt", "idle-halt"],
    "inst_cpuid": ["cpuid"],
    "inst_ple": ["pause"],
    "inst_vmcall": ["hypercall"],
    "inst_xsetbv": ["xsetbv"],
}

CATEGORIES = {
    Category.INTERRUPT: [
        "interrupt",
        "vintr",
        "nmi",
        "smi",
        "init",
        "iret",
        "avic_incomplete_ipi",
        "avic_unaccelerated_access",
        "vmgexit_nmi_complete",
    ],
    Category.MEMORY: [
        "npf",
        "invlpg",
        "invpcid",
        "vmgexit_mmio_read",
        "vmgexit_mmio_write",
        "vmgexit_page_state_change",
    ],
    Category.IO: ["io"],
    Category.REGISTER: [
        *_CR,
        *_DR,
        "cr0_sel_write",
        "write_efer_trap",
        "msr",
        "msr:rd",
        "msr:wr",
        "read_idtr",
        "read_gdtr",
        "read_ldtr",
        "read_rt",
        "write_idtr",
        "write_gdtr",
        "write_ldtr",
        "write_rt",
        "xsetbv",
        "cpuid",
        "rdtsc",
        "rdtscp",
        "rdpmc",
        "rdpru",
    ],
    Category.IDLE: ["hlt", "idle-halt", "mwait", "monitor", "vmgexit_ap_hlt_loop"],
    Category.SPIN: ["pause"],
    Category.HYPERCALL: [
        "hypercall",
        "vmgexit",
        "vmgexit_ap_jump_table",
        "vmgexit_guest_request",
        "vmgexit_ext_guest_request",
        "vmgexit_ap_creation",
        "vmgexit_hypervisor_feature",
    ],
    Category.EXCEPTION: [*_EXCEPTIONS, "swint", "icebp", "ferr_freeze", "shutdown"],
}

CATEGORY_NOTES = {
    Category.INTERRUPT: (
        "`nmi` is here. `iret` is here, because KVM intercepts it to find the end of an NMI.",
    ),
    Category.MEMORY: (
        "`npf` is one code for MMIO and for missing memory.",
        SHADOW_PAGING.format("`invlpg`, `invlpga` and `invpcid`"),
    ),
    Category.REGISTER: (CPUID_IS_HERE, X2APIC_IS_HERE),
    Category.IDLE: (HALTS_UNSEEN,),
    Category.HYPERCALL: (
        (
            "Everything a SEV-ES guest asks for (I/O, MSRs, CPUID, MMIO, ...) is `vmgexit`, and"
            " here: its other categories are nearly empty. The kernel has names for single requests"
            " (`vmgexit_mmio_read`, ...) and they are in the category of what they ask for."
        ),
    ),
    Category.EXCEPTION: (
        "One code for each exception. `PF excp` is a page fault of the guest under shadow paging.",
    ),
}

SVM = Isa(
    name="svm",
    title="AMD SVM",
    reasons=reasons(NAMES | QUALIFIED_NAMES | HEADER_NAMES, COLUMNS, CATEGORIES, MEANINGS),
    tables=(NameTable("REC->exit_reason"),),
    category_notes=CATEGORY_NOTES,
    spellings=spellings.SVM,
    advice=ADVICE,
    event=trace_format.SVM,
    details=details.kinds(
        msr=(MSR_READ, MSR_WRITE),
        io=(0x7B,),
        mmio=(0x400,),
        hypercall=(0x81,),
        cr=(*range(0x20), 0x65, *range(0x90, 0xA0)),
    ),
)

# The C reads exit_code and exit_info_1, its neighbour in the hardware's layout, in one go.
_VMCB = (
    BtfField("VMCB_OFFSET", ("vcpu_svm.vmcb",)),
    BtfField("EXIT_CODE_OFFSET", ("vmcb.control.exit_code",)),
)

_RAW = (
    Probe("raw-cast", "raw", "KSTATS_RAW_CAST", args=2, btf=_VMCB, direct=True),
    Probe("raw-btf", "raw", "KSTATS_RAW_BTF", args=2, btf=_VMCB),
    # Before 5.16 the code is an argument, but which way an MSR access went is not; kernels
    # without module BTF (before 5.11) tell it in the classic record only.
    Probe("raw-arg", "raw", "KSTATS_RAW_ARG", args=3, btf=_VMCB),
)
_CLASSIC = Probe(
    "classic",
    "classic",
    "KSTATS_CLASSIC",
    record=(
        RecordField("REC_EXIT_REASON", "exit_reason"),
        RecordField("REC_ISA", "isa"),
        RecordField("REC_INFO1", "info1"),
    ),
)

_INFO = BtfField("EXIT_INFO_OFFSET", ("vmcb.control.exit_info_1",))
_INFORMED = (
    *(details.with_btf(probe, _INFO) for probe in _RAW),
    details.with_record(_CLASSIC, RecordField("REC_INFO2", "info2")),
)

SOURCE = ExitSource(
    isa="svm",
    define="KSTATS_SVM",
    modules=("kvm_amd",),
    cpu_flag="svm",
    probes=(*_RAW, _CLASSIC),
    slots=(
        SlotRange(0, 256),
        SlotRange(MSR_READ, 1),
        SlotRange(MSR_WRITE, 1),
        SlotRange(0x400, 16),
        SlotRange(0x8000_0000, 32),
    ),
    details=details.sources(registers=_RAW, info=_INFORMED, cr=(*_RAW, _CLASSIC), mmio=_INFORMED),
)
