"""ARM64: the exception classes of ESR_EL2 (Arm ARM DDI 0487, D24.2) and KVM's return codes.

An exit is a trap, told by its exception class, or it is not; then KVM's return code says what
it was, and stands here with the qualifier ``RETURN_CODE``.
"""

from __future__ import annotations

from kstats.arch.arm64 import details, spellings, trace_format
from kstats.arch.arm64.advice import ADVICE
from kstats.arch.arm64.meanings import MEANINGS
from kstats.arch.arm64.names import NAMES
from kstats.arch.base import (
    NUMBER_BITS,
    Category,
    ExitSource,
    Isa,
    NameTable,
    Probe,
    RecordField,
    SlotRange,
)
from kstats.arch.tables import reasons

RETURN_CODE = 1
ARM_EXCEPTION_TRAP = 2

HEADER_NAMES = {
    0x0A: "OTHER",
    0x0D: "BTI",
    0x0E: "ILL",
    0x11: "SVC32",
    0x12: "HVC32",
    0x13: "SMC32",
    0x1C: "FPAC",
    0x1D: "SME",
    0x27: "MOPS",
    0x2D: "GCS",
    RETURN_CODE << NUMBER_BITS | 3: "IL",
}
"""ESR_ELx_EC_* of asm/esr.h and ARM_EXCEPTION_* of asm/kvm_asm.h that KVM prints no name for."""

COLUMNS = {
    "inst_abt": ["IABT_LOW"],
    "data_abt": ["DABT_LOW"],
    "wfx_inst": ["WFx"],
    "sys_inst": ["SYS64", "CP15_32", "CP15_64", "CP14_MR", "CP14_LS", "CP14_64"],
    "smc_inst": ["SMC64", "SMC32"],
    "ints": ["IRQ"],
}

CATEGORIES = {
    Category.INTERRUPT: ["IRQ"],
    Category.MEMORY: ["IABT_LOW", "DABT_LOW", "IABT_CUR", "DABT_CUR"],
    Category.REGISTER: [
        "SYS64",
        "CP15_32",
        "CP15_64",
        "CP14_MR",
        "CP14_LS",
        "CP14_64",
        "CP10_ID",
        "FP_ASIMD",
        "SVE",
        "SME",
        "PAC",
    ],
    Category.IDLE: ["WFx"],
    Category.HYPERCALL: ["HVC64", "HVC32", "SMC64", "SMC32"],
    Category.EXCEPTION: [
        "UNKNOWN",
        "SERROR",
        "ILL",
        "BTI",
        "FPAC",
        "MOPS",
        "GCS",
        "PC_ALIGN",
        "SP_ALIGN",
        "FP_EXC32",
        "FP_EXC64",
        "BREAKPT_LOW",
        "BREAKPT_CUR",
        "SOFTSTP_LOW",
        "SOFTSTP_CUR",
        "WATCHPT_LOW",
        "WATCHPT_CUR",
        "BKPT32",
        "VECTOR32",
        "BRK64",
    ],
}

CATEGORY_NOTES = {
    Category.INTERRUPT: (
        (
            "`IRQ` alone. A guest uses its interrupt controller through system registers (GICv3:"
            " `register`) or memory (GICv2: `memory`), and its timer through system registers, so"
            " `interrupt` is smaller and `register` larger than on x86."
        ),
    ),
    Category.MEMORY: ("`DABT_LOW` is one code for MMIO and for missing memory (stage-2 faults).",),
    Category.IO: ("There are no I/O ports: the same device costs exits in `memory`.",),
    Category.REGISTER: (
        (
            "The identification registers are system registers, and KVM traps them as `SYS64`; on"
            " x86 that is CPUID."
        ),
        "The first use of registers that are trapped until used (FP, SVE, SME, PAC) is here.",
    ),
    Category.IDLE: (
        (
            "`WFx` is one code for WFI (idle) and WFE (spinning), so `idle` includes what `spin`"
            " counts elsewhere."
        ),
    ),
    Category.SPIN: ("Nothing is here: see `idle`.",),
    Category.EXCEPTION: ("A trapped exception of any kind, and system errors.",),
}

ARM64 = Isa(
    name="arm64",
    title="ARM64",
    reasons=reasons(NAMES | HEADER_NAMES, COLUMNS, CATEGORIES, MEANINGS),
    tables=(
        # An SError comes through a vector of its own: its class 0x2f is never that of a trap,
        # and the name SERROR is the return code's.
        NameTable("REC->esr_ec", unused=frozenset({0x2F})),
        NameTable("REC->ret", qualifier=RETURN_CODE, unused=frozenset({ARM_EXCEPTION_TRAP})),
    ),
    category_notes=CATEGORY_NOTES,
    spellings=spellings.ARM64,
    advice=ADVICE,
    event=trace_format.ARM64,
    details=details.KINDS,
)

_RAW = Probe("raw", "raw", "KSTATS_RAW", args=3)

SOURCE = ExitSource(
    isa="arm64",
    probes=(
        _RAW,
        Probe(
            "classic",
            "classic",
            "KSTATS_CLASSIC",
            record=(RecordField("REC_RET", "ret"), RecordField("REC_ESR_EC", "esr_ec")),
        ),
    ),
    slots=(SlotRange(0, 64), SlotRange(RETURN_CODE << NUMBER_BITS, 4)),
    details=details.sources(_RAW),
)
