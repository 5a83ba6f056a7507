"""The toy architecture: a house whose guests knock, ring and phone.

It numbers its exits itself: the number is an argument of the tracepoint (see toy.c).
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
    SlotRange,
)
from kstats.arch.tables import reasons

HOUSE = Isa(
    name="house",
    title="The house",
    reasons=reasons(
        names={1: "KNOCK", 2: "BELL", 3: "PHONE", 4: "LETTER"},
        columns={"knock": ["KNOCK"], "ring_bell": ["BELL"], "ring_phone": ["PHONE"]},
        categories={Category.INTERRUPT: ["KNOCK", "BELL"], Category.HYPERCALL: ["PHONE"]},
        meanings={
            "KNOCK": ("Somebody is at the door", "House manual, Doors"),
            "BELL": ("Somebody is at the door and saw the bell", "House manual, Doors"),
            "PHONE": ("Somebody calls", "House manual, Phone"),
            "LETTER": ("Somebody wrote", "House manual, Post"),
        },
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
