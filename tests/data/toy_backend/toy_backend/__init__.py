"""The toy architecture: a house with guests who knock, ring and phone.

The number of an exit is an argument of the tracepoint (see toy.c).
"""

from __future__ import annotations

from importlib.resources import files

from kstats.arch.base import (
    OTHER,
    Arch,
    Category,
    Column,
    ExitSource,
    Isa,
    NameTable,
    Probe,
    Reason,
    SlotRange,
    by_code,
)

HOUSE = Isa(
    name="house",
    title="The house",
    reasons=by_code(
        Reason(1, "KNOCK", "knock", Category.INTERRUPT, "Somebody is at the door", "Manual, Doors"),
        Reason(2, "BELL", "ring_bell", Category.INTERRUPT, "Somebody rang the bell"),
        Reason(3, "PHONE", "ring_phone", Category.HYPERCALL, "Somebody calls"),
        Reason(4, "LETTER", meaning="Somebody wrote a letter"),
    ),
    tables=(NameTable("REC->visit"),),
)

TOY = Arch(
    name="toy",
    title="Toy house",
    machines=("toy64",),
    isas=(HOUSE,),
    columns=(
        Column("knock", "knock"),
        Column("ring_bell", "bell", "ring"),
        Column("ring_phone", "phone", "ring"),
        Column(OTHER, OTHER),
    ),
    sources=(
        ExitSource(
            isa="house",
            probes=(
                Probe("second", "raw", "TOY_SECOND_ARGUMENT", args=2),
                Probe("first", "raw", "TOY_FIRST_ARGUMENT", args=3),
            ),
            slots=(SlotRange(0, 4),),
        ),
    ),
    bpf=files("toy_backend") / "toy.c",
)
