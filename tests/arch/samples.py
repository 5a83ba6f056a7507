"""A small architecture for tests, which tests change to break the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kstats.arch.base import (
    OTHER,
    Arch,
    BtfField,
    Category,
    Column,
    ExitSource,
    Isa,
    NameTable,
    Probe,
    Reason,
    RecordField,
    SlotRange,
)

if TYPE_CHECKING:
    from pathlib import Path

C_TEXT = "exit_code KSTATS_DEMO DEMO_RAW DEMO_CLASSIC DEMO_OFFSET REC_REASON"

DEMO = Isa(
    name="demo",
    title="Demo",
    reasons={
        1: Reason(1, "ONE", "ones", Category.IO, "One", "Manual 1"),
        2: Reason(2, "TWO", OTHER, Category.OTHER, "Two", "Manual 2"),
    },
    flags={0x100: "LATE"},
    flag_mask=0xFF00,
    failed_mask=0x100,
    tables=(NameTable("REC->reason"),),
)

SOURCE = ExitSource(
    isa="demo",
    define="KSTATS_DEMO",
    probes=(
        Probe("raw", "raw", "DEMO_RAW", args=2, btf=(BtfField("DEMO_OFFSET", ("s.m", "t.a.b")),)),
        Probe("classic", "classic", "DEMO_CLASSIC", record=(RecordField("REC_REASON", "reason"),)),
    ),
    slots=(SlotRange(0, 16), SlotRange(1 << 32, 2)),
)

ARCH = Arch(
    name="demo64",
    title="Demo machine",
    machines=("demo64",),
    isas=(DEMO,),
    columns=(Column("ones", "ones"), Column(OTHER, OTHER)),
)


def sample(folder: Path) -> Arch:
    """Return a correct architecture with a source and a C file in ``folder``."""
    bpf = folder / "demo.c"
    bpf.write_text(C_TEXT)
    return ARCH._replace(sources=(SOURCE,), bpf=bpf, silent_modules={"mute": "unload it"})
