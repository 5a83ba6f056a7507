"""RISC-V for kstats: one ISA, whose exceptions and interrupts are numbered apart."""

from __future__ import annotations

import re
from importlib.resources import files

from kstats.arch.base import (
    NUMBER_BITS,
    NUMBER_MASK,
    OTHER,
    Advice,
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
from kstats.arch.tables import reasons
from kstats_riscv64.causes import EXCEPTIONS, INTERRUPT, INTERRUPTS, MEANINGS, NAMES

_INTERRUPTS = [name for name, _ in INTERRUPTS.values()]

COLUMNS = (
    Column("inst_fault", "inst", "fault", "stage-2 faults of instruction fetches"),
    Column("load_fault", "load", "fault", "stage-2 faults of loads, MMIO included"),
    Column("store_fault", "store", "fault", "stage-2 faults of stores, MMIO included"),
    Column("virt_inst", "virt_inst", meaning="WFI, and instructions that KVM emulates"),
    Column("ecall", "ecall", meaning="calls of the SBI"),
    Column("ints", "ints", meaning="interrupts of the host that arrived while the guest ran"),
    Column(OTHER, OTHER, meaning="every other exit"),
)

_BY_COLUMN = {
    "inst_fault": ["INST_GUEST_PAGE_FAULT"],
    "load_fault": ["LOAD_GUEST_PAGE_FAULT"],
    "store_fault": ["STORE_GUEST_PAGE_FAULT"],
    "virt_inst": ["VIRTUAL_INST_FAULT"],
    "ecall": ["SUPERVISOR_SYSCALL"],
    "ints": _INTERRUPTS,
}

_MEMORY = ["INST_GUEST_PAGE_FAULT", "LOAD_GUEST_PAGE_FAULT", "STORE_GUEST_PAGE_FAULT"]
_ELSEWHERE = {*_MEMORY, "VIRTUAL_INST_FAULT", "SUPERVISOR_SYSCALL"}

_BY_CATEGORY = {
    Category.INTERRUPT: _INTERRUPTS,
    Category.MEMORY: _MEMORY,
    Category.REGISTER: ["VIRTUAL_INST_FAULT"],
    Category.HYPERCALL: ["SUPERVISOR_SYSCALL"],
    Category.EXCEPTION: [name for name, _ in EXCEPTIONS.values() if name not in _ELSEWHERE],
}

_NOTES = {
    Category.REGISTER: (
        "WFI is here: `VIRTUAL_INST_FAULT` is one code for it and for CSR accesses.",
    ),
    Category.IDLE: ("Empty: an idle guest's WFI is in `register`.",),
    Category.HYPERCALL: (
        "The SBI is here: timers and IPIs, where the hart has neither Sstc nor AIA.",
    ),
}

_ADVICE = {
    "VIRTUAL_INST_FAULT": Advice(
        causes=("WFI: an idle guest, one exit for each time it has nothing to do",),
        cures=("nothing, if the host's CPU is idle too; for latency: halt_poll_ns of kvm",),
    ),
    "SUPERVISOR_SYSCALL": Advice(
        causes=("SBI calls: timers (without Sstc), IPIs and remote fences (without AIA)",),
        cures=("harts with Sstc and AIA; fewer timers and wake-ups in the guest",),
    ),
}


def _code(_: Isa, match: re.Match[str]) -> int:
    scause = int(match["scause"], 16)
    return (INTERRUPT << NUMBER_BITS if scause >> 63 else 0) | scause & NUMBER_MASK


ISA = Isa(
    name="riscv64",
    title="RISC-V (H extension)",
    reasons=reasons(NAMES, _BY_COLUMN, _BY_CATEGORY, MEANINGS),
    category_notes=_NOTES,
    spellings=Spellings(prefixes=("EXC_",)),
    advice=_ADVICE,
    event=ExitEvent(
        pattern=re.compile(r"SEPC:0x[0-9a-f]+, SCAUSE:0x(?P<scause>[0-9a-f]{1,16}), STVAL:"),
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
)
