"""Firings of tracepoints by thread, counted beside exits: bpf/events.c and how to read it."""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias

import attrs

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK
from kstats.arch.kvmstat import Event
from kstats.collector import threads
from kstats.loader.program import Attachment, Loaded
from kstats.model import Place, Sample

QUALIFIER = 0xE7E47
"""The high 32 bits of an event's code: no ISA qualifies exits with it."""

_KEY = struct.pack("=I", 0)
_WORD = 8

_Counts: TypeAlias = Mapping[tuple[int, int], int]
"""Firings without their thread by (number of the event, cpu)."""


@attrs.frozen(eq=False)
class Snapshot:
    """Running totals: ``threads`` has those of events, too; ``others`` those that lost theirs.

    ``events`` are the numbers of the events that this kernel has.
    """

    threads: threads.Snapshot
    others: _Counts
    events: frozenset[int]


class Reader:
    """Takes snapshots: one system call more than of exits by thread."""

    def __init__(self, loaded: Loaded, counting: PerThreadWithEvents) -> None:
        """The program must have been built for ``counting``."""
        self._exits = counting.exits.reader(loaded)
        self._others = loaded.maps["other_events"]
        self._cpus = counting.exits.layout.cpus
        self._count = len(counting.events)
        self._buffer = ctypes.create_string_buffer(self._count * len(self._cpus) * _WORD)
        missing = {name for name, _ in loaded.absent}
        numbers = range(self._count)
        self._events = frozenset(n for n in numbers if function_name(n) not in missing)

    def snapshot(self) -> Snapshot:
        """The totals now."""
        self._others.read_into(_KEY, self._buffer)
        words = array("Q", self._buffer.raw)
        places = ((number, cpu) for cpu in self._cpus for number in range(self._count))
        others = {place: n for place, n in zip(places, words, strict=True) if n}
        return Snapshot(self._exits.snapshot(), others, self._events)


@attrs.frozen(eq=False)
class PerThreadWithEvents:
    """Counts ``events`` by thread and CPU beside ``exits``: what to load, and how to read it.

    An event that the running kernel lacks is left out of the samples.
    """

    exits: threads.PerThread
    events: tuple[Event, ...]
    btf: ClassVar = ()

    @property
    def files(self) -> Sequence[str]:
        """The files of bpf/ after the architecture's."""
        return (*self.exits.files, "tracepoints.c")

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps to read."""
        return (*self.exits.maps, "other_events")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """A function for each event, where the kernel has it."""
        found = (
            Attachment(
                event.tracepoint,
                function_name(number),
                "raw",
                at_least=0 if event.arg is None else event.arg + 1,
            )
            for number, event in enumerate(self.events)
        )
        return (*self.exits.attachments, *found)

    @property
    def counted(self) -> tuple[str, ...]:
        """Which fields of its samples are counted, and whether by thread."""
        return (*self.exits.counted, "events")

    @property
    def generated(self) -> str:
        """The filters of threads and of events, in C."""
        functions = (function(number, event) for number, event in enumerate(self.events))
        return "".join((self.exits.generated, *functions))

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        sizes = {"KSTATS_EVENTS": len(self.events), "KSTATS_EVENT_QUALIFIER": QUALIFIER}
        return self.exits.defines | sizes

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        return Reader(loaded, self)

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots; what lost its thread has thread 0."""
        sample = self.exits.sample(before.threads, now.threads, online)
        firings = {(isa, code): at for (isa, code), at in sample.exits.items() if _is_event(code)}
        counts: dict[int, dict[Place, int]] = {number: {} for number in now.events}
        for (_, code), at in firings.items():
            counts[code & NUMBER_MASK] |= {place: fired.count for place, fired in at.items()}
        for (number, cpu), n in now.others.items():
            if more := n - before.others.get((number, cpu), 0):
                counts[number][Place(cpu, 0)] = more
        return attrs.evolve(
            sample,
            exits={code: at for code, at in sample.exits.items() if code not in firings},
            events={self.events[number].label: at for number, at in counts.items()},
        )


def _is_event(code: int) -> bool:
    return code >> NUMBER_BITS == QUALIFIER


def function_name(number: int) -> str:
    """The C function that counts event ``number``."""
    return f"on_event_{number}"


def function(number: int, event: Event) -> str:
    """C that counts a firing of event ``number`` if its argument has one of the values."""
    argument = f"((struct raw_args *)ctx)->arg[{event.arg}]"
    tests = " || ".join(f"{argument} == {value}" for value in sorted(event.values)) or "1"
    lines = [
        f"int {function_name(number)}(void *ctx)",
        "{",
        f"\tif ({tests})",
        f"\t\tcount_event({number});",
        "\treturn 1;",
        "}",
        "",
    ]
    return "\n".join(lines)
