"""RISC-V for kstats: one ISA, with separate numbers for exceptions and interrupts."""

from __future__ import annotations

import re
from importlib.resources import files

from kstats.arch.base import (
    NUMBER_BITS,
    NUMBER_MASK,
    OTHER,
    Arch,
    BtfField,
    Category,
    Column,
    ExitEvent,
    ExitSource,
    Isa,
    Probe,
    RecordField,
    SlotRange,
    Spellings,
)
from kstats_riscv64.causes import INTERRUPT, REASONS

COLUMNS = (
    Column("inst_fault", "inst", "fault", "stage-2 faults of instruction fetches"),
    Column("load_fault", "load", "fault", "stage-2 faults of loads, MMIO included"),
    Column("store_fault", "store", "fault", "stage-2 faults of stores, MMIO included"),
    Column("virt_inst", "virt_inst", meaning="WFI, and instructions that KVM emulates"),
    Column("ecall", "ecall", meaning="SBI calls"),
    Column("ints", "ints", meaning="host interrupts that arrived while the guest was running"),
    Column(OTHER, OTHER, meaning="every other exit"),
)

_NOTES = {
    Category.REGISTER: (
        "WFI is counted here: `VIRTUAL_INST_FAULT` is one code for WFI and for CSR accesses.",
    ),
    Category.IDLE: ("Always empty: the WFI of an idle guest is in `register`.",),
    Category.HYPERCALL: ("SBI calls: also timers and IPIs, if the hart has neither Sstc nor AIA.",),
}


def _code(_: Isa, match: re.Match[str]) -> int:
    scause = int(match["scause"], 16)
    return (INTERRUPT << NUMBER_BITS if scause >> 63 else 0) | scause & NUMBER_MASK


ISA = Isa(
    name="riscv64",
    title="RISC-V (H extension)",
    reasons=REASONS,
    category_notes=_NOTES,
    spellings=Spellings(prefixes=("EXC_",)),
    event=ExitEvent(
        pattern=r"SEPC:0x[0-9a-f]+, SCAUSE:0x(?P<scause>[0-9a-f]{1,16}), STVAL:",
        code=_code,
        bpftrace_code="(args->scause & 0xffffffff) | ((args->scause >> 63) << 32)",
    ),
)

RISCV64 = Arch(
    name="riscv64",
    title="RISC-V",
    machines=("riscv64",),
    isas=(ISA,),
    columns=COLUMNS,
    sources=(
        ExitSource(
            isa="riscv64",
            modules=("kvm",),
            probes=(
                Probe(
                    "raw-btf",
                    "raw",
                    "KSTATS_RAW_BTF",
                    args=1,
                    btf=(BtfField("SCAUSE_OFFSET", ("kvm_cpu_trap.scause",)),),
                ),
                Probe(
                    "classic",
                    "classic",
                    "KSTATS_CLASSIC",
                    record=(RecordField("REC_SCAUSE", "scause"),),
                ),
            ),
            slots=(SlotRange(0, 64), SlotRange(INTERRUPT << NUMBER_BITS, 64)),
        ),
    ),
    bpf=files("kstats_riscv64") / "riscv64.c",
    objects=files("kstats_riscv64") / "objects",
)
