"""The per-CPU layout of bpf/counts.c: reading it, and the difference of two readings."""

from __future__ import annotations

import ctypes
import struct
import time
from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

import attrs

from kstats.loader.program import Attachment, Loaded
from kstats.model import Code, Exits, Place, Sample, untimed

T = TypeVar("T")

ODD_CODES = 1024
"""Room for (cpu, code) pairs without a slot: there should be none, so this is ample."""

ON_ENTRY = Attachment("kvm_entry", "on_entry", "raw")
"""What counts entries: bpf/entries.c."""

_ENTRIES, _UNSUPPORTED_ISA, _CODE_DROPPED, _EXITS = range(4)
_KEY = struct.pack("=I", 0)
_WORD = 8


@attrs.frozen(eq=False)
class Snapshot:
    """Running totals since the program was attached.

    ``columns`` has an array for each word of struct percpu_counts, with a value for each CPU;
    ``odd`` the counts by (code, cpu).
    """

    time: float
    monotonic: float
    columns: Sequence[array[int]]
    odd: Mapping[tuple[int, int], int]
    misses: int


@attrs.frozen(eq=False)
class Layout:
    """What the program counts: the CPUs in order, the codes of the slots in order."""

    arch: str
    isa: str
    cpus: Sequence[int]
    codes: Sequence[int]

    @property
    def stride(self) -> int:
        """Words for each CPU."""
        return _EXITS + len(self.codes)

    @property
    def low_codes(self) -> int:
        """How many codes from 0 on are the numbers of their slots."""
        pairs = enumerate(self.codes)
        return next((slot for slot, code in pairs if code != slot), len(self.codes))

    @property
    def size(self) -> int:
        """Bytes of all CPUs' counters."""
        return self.stride * len(self.cpus) * _WORD

    @property
    def room(self) -> int:
        """How many CPUs there is room for: up to the highest number, and for two at least.

        A program for a single CPU would be another one, which no other host proves.
        """
        return max(1, *self.cpus) + 1

    def rows(self, values: bytes) -> bytes:
        """Of the counters up to the highest number, those of CPUs that exist."""
        size = self.stride * _WORD
        if len(self.cpus) == self.room:
            return values
        return b"".join(values[cpu * size : (cpu + 1) * size] for cpu in self.cpus)

    def columns(self, values: bytes) -> list[array[int]]:
        """The counters of the CPUs, turned from rows of CPUs to columns."""
        words = array("Q", values)
        return [words[word :: self.stride] for word in range(self.stride)]

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots."""
        return Sample(
            arch=self.arch,
            time=now.time,
            elapsed=now.monotonic - before.monotonic,
            cpus=online,
            entries=_grown(before, now, _ENTRIES, self.cpus),
            exits=self._exits(before, now),
            code_dropped=_grown(before, now, _CODE_DROPPED, self.cpus),
            unsupported_isa=sum(_grown(before, now, _UNSUPPORTED_ISA, self.cpus).values()),
            missed=now.misses - before.misses,
            isa=self.isa,
        )

    def _exits(self, before: Snapshot, now: Snapshot) -> dict[Code, dict[Place, Exits]]:
        places = [Place(cpu, 0) for cpu in self.cpus]
        exits: dict[Code, dict[Place, Exits]] = {}
        for slot, code in enumerate(self.codes, _EXITS):
            if grown := _grown(before, now, slot, places):
                exits[self.isa, code] = {place: untimed(n) for place, n in grown.items()}
        for (code, cpu), n in now.odd.items():
            if more := n - before.odd.get((code, cpu), 0):
                exits.setdefault((self.isa, code), {})[Place(cpu, 0)] = untimed(more)
        return exits


def _grown(before: Snapshot, now: Snapshot, word: int, places: Sequence[T]) -> dict[T, int]:
    """By how much a counter grew at each place where it grew."""
    new, old = now.columns[word], before.columns[word]
    if new == old:
        return {}
    return {place: n - o for place, n, o in zip(places, new, old, strict=True) if n != o}


class Reader:
    """Takes snapshots of a loaded program: three system calls for the counts, on any host."""

    def __init__(self, loaded: Loaded, layout: Layout) -> None:
        """The program must have been built for ``layout``."""
        self._loaded = loaded
        self._buffer = ctypes.create_string_buffer(layout.room * layout.stride * _WORD)
        self._layout = layout
        self._counts = loaded.maps["counts"]
        self._odd = loaded.maps["odd_codes"]

    def snapshot(self) -> Snapshot:
        """The totals now."""
        self._counts.read_into(_KEY, self._buffer)
        now, passed = time.time(), time.monotonic()
        odd = {
            struct.unpack("=QQ", key): struct.unpack("=Q", value)[0]
            for key, value in self._odd.items()
        }
        columns = self._layout.columns(self._layout.rows(self._buffer.raw))
        return Snapshot(now, passed, columns, odd, self._loaded.misses())


@attrs.frozen(eq=False)
class PerCpu:
    """Counts entries and exits of each physical CPU: what to load, and how to read it."""

    layout: Layout
    files: ClassVar = ("counts.c", "entries.c", "exits_percpu.c")
    maps: ClassVar = ("counts", "odd_codes")
    attachments: ClassVar = (ON_ENTRY, Attachment("kvm_exit", "on_exit"))
    counted: ClassVar = ("entries", "exits")
    generated: ClassVar = ""
    btf: ClassVar = ()

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        return {
            "KSTATS_CPUS": self.layout.room,
            "KSTATS_SLOTS": len(self.layout.codes),
            "KSTATS_LOW_CODES": self.layout.low_codes,
            "KSTATS_ODD_CODES": ODD_CODES,
        }

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        return Reader(loaded, self.layout)

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots."""
        return self.layout.sample(before, now, online)
