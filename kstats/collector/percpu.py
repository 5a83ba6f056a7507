"""Entries and exits by physical CPU: bpf/counts.c, entries.c and exits_percpu.c."""

from __future__ import annotations

import ctypes
import functools
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import sub
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import attrs

from kstats.arch.base import Arch
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import COUNT, ONLY, U64, WORD, Record

if TYPE_CHECKING:
    from kstats.collector.draft import Draft
    from kstats.model import Place

T = TypeVar("T")

ODD_CODES = 1024
"""Entries for (code, cpu) pairs without a slot: there should be none, so this is ample."""

ON_ENTRY = Attachment("kvm_entry", "on_entry", "raw")
ON_EXIT = Attachment("kvm_exit", "on_exit")


class PercpuCounts(Record):
    """The beginning of struct percpu_counts; the slots' counters follow."""

    c_name = "percpu_counts"
    _fields_ = (("entries", U64), ("unsupported_isa", U64), ("code_dropped", U64))


class OddCode(Record):
    """The key of odd_codes."""

    c_name = "odd_code"
    _fields_ = (("code", U64), ("cpu", U64))


_ENTRIES = PercpuCounts.entries.offset // WORD
_UNSUPPORTED_ISA = PercpuCounts.unsupported_isa.offset // WORD
_CODE_DROPPED = PercpuCounts.code_dropped.offset // WORD
_EXITS = ctypes.sizeof(PercpuCounts) // WORD
_ODD_CODE = OddCode.unpacker()


class Reading(NamedTuple):
    """Running totals since the program was attached.

    Attributes:
        time: Seconds since the epoch.
        monotonic: Seconds of the monotonic clock.
        columns: An array for each word of struct percpu_counts, with a value for each CPU.
        odd: Exits without a slot, by (code, cpu).
        misses: How often the kernel skipped one of the programs.
    """

    time: float
    monotonic: float
    columns: Sequence[array[int]]
    odd: Mapping[tuple[int, int], int]
    misses: int


class Words(NamedTuple):
    """The map ``counts``: one struct percpu_counts for each CPU up to the highest number."""

    layout: Layout

    @property
    def stride(self) -> int:
        """Return the words of one CPU."""
        return _EXITS + len(self.layout.codes)

    @property
    def low_codes(self) -> int:
        """Return how many codes from 0 on are the numbers of their slots."""
        codes = self.layout.codes
        return next((slot for slot, code in enumerate(codes) if code != slot), len(codes))

    @property
    def cpus(self) -> int:
        """Return the number of structs: at least two.

        The compiler would make another program for a single CPU, which no other host tests.
        """
        return max(1, *self.layout.cpus) + 1

    @property
    def size(self) -> int:
        """Return the bytes of all structs."""
        return self.cpus * self.stride * WORD

    def columns(self, values: bytes) -> list[array[int]]:
        """Return an array for each word, with the values of the CPUs that exist."""
        words, stride = array("Q", values), self.stride
        columns = [words[word::stride] for word in range(stride)]
        if len(self.layout.cpus) == self.cpus:
            return columns
        return [array("Q", [column[cpu] for cpu in self.layout.cpus]) for column in columns]


class CountsReader:
    """Reads the counters with three system calls, whatever the number of CPUs."""

    def __init__(self, loaded: Loaded, layout: Layout) -> None:
        self._loaded = loaded
        self._words = Words(layout)
        self._buffer = ctypes.create_string_buffer(self._words.size)
        self._values = self._buffer.raw
        self._columns = self._words.columns(self._values)

    def read(self) -> Reading:
        """Return the totals; the clocks are read right after the counters."""
        maps = self._loaded.maps
        maps["counts"].read_into(ONLY, self._buffer)
        now, monotonic = time.time(), time.monotonic()
        odd = {
            _ODD_CODE.unpack(key): COUNT.unpack(value)[0]
            for key, value in maps["odd_codes"].items()
        }
        values = self._buffer.raw
        if values != self._values:  # while no VM runs, they stay the same
            self._values, self._columns = values, self._words.columns(values)
        return Reading(now, monotonic, self._columns, odd, self._loaded.misses())


def _grown(old: array[int], new: array[int], places: Sequence[T]) -> dict[T, int]:
    """Return by how much a counter grew, where it grew."""
    return {place: n - o for place, n, o in zip(places, new, old, strict=True) if n != o}


@functools.lru_cache(maxsize=1)
def _places(cpus: Sequence[int]) -> Sequence[Place]:
    """Return the places of CPUs, the same object for all samples of a host."""
    from kstats.model import Place  # noqa: PLC0415 - a start does without samples

    return tuple(Place(cpu, 0) for cpu in cpus)


@attrs.frozen(eq=False)
class Counts(Feature):
    """The counters by CPU that every program has (bpf/counts.c)."""

    layout: Layout

    phase = Phase.COUNTS
    files = ("counts.c",)

    @property
    def maps(self) -> tuple[MapSize, ...]:
        size = Words(self.layout).size
        return (MapSize("counts", 1, size, by_address=True), MapSize("odd_codes", ODD_CODES))

    @property
    def defines(self) -> Mapping[str, int]:
        low_codes = Words(self.layout).low_codes
        return {"KSTATS_SLOTS": len(self.layout.codes), "KSTATS_LOW_CODES": low_codes}

    @property
    def numbers(self) -> Mapping[str, int]:
        return {"KSTATS_CPUS": Words(self.layout).cpus}

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Reading]:
        return CountsReader(loaded, layout).read

    def fill(self, draft: Draft, before: Reading, now: Reading) -> None:
        """Fill what is counted by CPU, and when the sample ended.

        In a program that counts by thread, exits have thread 0 that did not fit in its tables.
        """
        from kstats.model import Place  # noqa: PLC0415 - a start does without samples

        cpus = draft.layout.cpus
        old, new = before.columns, now.columns
        draft.fields |= {
            "time": now.time,
            "elapsed": now.monotonic - before.monotonic,
            "entries": _grown(old[_ENTRIES], new[_ENTRIES], cpus),
            "code_dropped": _grown(old[_CODE_DROPPED], new[_CODE_DROPPED], cpus),
            "unsupported_isa": sum(
                _grown(old[_UNSUPPORTED_ISA], new[_UNSUPPORTED_ISA], cpus).values()
            ),
            "missed": now.misses - before.misses,
        }
        if new is not old:  # while no VM runs, they are
            places = _places(cpus)
            exits = zip(draft.layout.codes, old[_EXITS:], new[_EXITS:], strict=True)
            for code, was, is_now in exits:
                if was != is_now:
                    draft.count_all(code, places, [*map(sub, is_now, was)])
        for (code, cpu), n in now.odd.items():
            if more := n - before.odd.get((code, cpu), 0):
                draft.count(code, Place(cpu, 0), more)


class Entries(Feature):
    """Entries by CPU, of all threads."""

    files = ("entries.c",)
    attachments = (ON_ENTRY,)
    counted = ("entries",)


class ExitsByCpu(Feature):
    """Exits by CPU, without their threads."""

    files = ("exits_percpu.c",)
    attachments = (ON_EXIT,)
    counted = ("exits",)

    def companions(self, arch: Arch, isa: str) -> tuple[Feature, ...]:
        del arch, isa
        return (Entries(),)


PER_CPU = (Entries(), ExitsByCpu())
"""The features of ``kstats cpu``."""
