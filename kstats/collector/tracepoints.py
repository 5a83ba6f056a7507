"""Firings of tracepoints by thread: bpf/tracepoints.c."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Self

import attrs

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Arch
from kstats.arch.kvmstat import Event
from kstats.collector.draft import Draft
from kstats.collector.feature import Feature
from kstats.collector.layout import Layout
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import ONLY
from kstats.model import Place

QUALIFIER = 0xE7E47
"""The high 32 bits of an event's code ("event", as far as hexadecimal digits spell it). No ISA
qualifies its exits with it."""


@attrs.frozen(eq=False)
class Reading:
    """Running totals of firings that did not fit in the thread tables.

    Attributes:
        others: By (event number, cpu).
        present: The numbers of the events that this kernel has.
    """

    others: Mapping[tuple[int, int], int]
    present: frozenset[int]


@attrs.frozen(eq=False)
class Tracepoints(Feature):
    """Firings of tracepoints by thread and CPU. It needs exits by thread, whose tables it shares.

    Attributes:
        events: What to count. Samples lack those that the running kernel does not have.
    """

    events: tuple[Event, ...]

    files = ("tracepoints.c",)
    maps = (MapSize("other_events"),)
    counted = ("events",)

    @classmethod
    def kvmstat(cls, arch: Arch, isa: str) -> Self:
        """Return the feature with the events that kvmstat's columns count on an ISA."""
        rules = arch.kvmstat.get(isa, ())
        return cls(tuple(dict.fromkeys(event for rule in rules for event in rule.events)))

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """One function for each event; those that the kernel lacks are left out."""
        return tuple(
            Attachment(
                event.tracepoint,
                function_name(number),
                "raw",
                at_least=0 if event.arg is None else event.arg + 1,
            )
            for number, event in enumerate(self.events)
        )

    @property
    def generated(self) -> str:
        return "".join(function(number, event) for number, event in enumerate(self.events))

    @property
    def defines(self) -> Mapping[str, int]:
        return {"KSTATS_EVENTS": len(self.events), "KSTATS_EVENT_QUALIFIER": QUALIFIER}

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Reading]:
        numbers = range(len(self.events))
        absent = {name for name, _ in loaded.absent}
        present = frozenset(n for n in numbers if function_name(n) not in absent)
        places = [(number, cpu) for cpu in layout.cpus for number in numbers]

        def read() -> Reading:
            words = array("Q", loaded.maps["other_events"].read_cpus(ONLY, len(layout.cpus)))
            others = {place: n for place, n in zip(places, words, strict=True) if n}
            return Reading(others, present)

        return read

    def fill(self, draft: Draft, before: Reading, now: Reading) -> None:
        """Move the firings from the exits to the events. Without its thread, one has thread 0."""
        counts: dict[int, dict[Place, int]] = {number: {} for number in now.present}
        for code in [code for code in draft.exits if code >> NUMBER_BITS == QUALIFIER]:
            fired = {place: exits.count for place, exits in draft.exits.pop(code).items()}
            counts[code & NUMBER_MASK] |= fired
        for (number, cpu), n in now.others.items():
            if more := n - before.others.get((number, cpu), 0):
                counts[number][Place(cpu, 0)] = more
        draft.fields["events"] = {self.events[number].label: at for number, at in counts.items()}


def function_name(number: int) -> str:
    """Return the name of the C function that counts event ``number``."""
    return f"on_event_{number}"


def function(number: int, event: Event) -> str:
    """Return C that counts a firing of event ``number`` if its argument has one of the values."""
    argument = f"((struct raw_args *)ctx)->arg[{event.arg}]"
    tests = " || ".join(f"{argument} == {value}" for value in sorted(event.values)) or "1"
    lines = [
        f"PROGRAM({function_name(number)}, void *ctx)",
        "{",
        f"\tif ({tests})",
        f"\t\tcount_event({number});",
        "\treturn SEEN;",
        "}",
        "",
    ]
    return "\n".join(lines)
