"""How long exits take, by bpf/latency.c: reading it, and the difference of two readings."""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from kstats import model
from kstats.arch.base import BtfField
from kstats.collector import details, threads
from kstats.histogram import SUB_BITS, SUB_BUCKETS, Histogram, bounds
from kstats.loader.program import Attachment, Loaded
from kstats.loader.syscall import Map
from kstats.model import Code, Place, Sample, untimed

OPEN_EXITS = 16384
"""Threads whose exits can be timed at once."""

LATENCIES = 65536
"""Places for the histograms' powers of two: about six for each reason of a thread."""

ON_END = Attachment("sched_process_exit", "end_thread_latency", "raw")
"""The file and the function that tell of threads that end."""

_ENDED = 2**64 - 1
_THREAD = 8  # bytes of a key
_BEGAN = struct.Struct("=Q")  # of an exit that has not ended
_KEY = struct.Struct("=QQiI")
_KEY_WITH_DETAIL = struct.Struct("=QQiIQ")
_VALUE = struct.Struct(f"={SUB_BUCKETS + 3}Q")
_TOTAL, _MINIMUM, _MAXIMUM = range(SUB_BUCKETS, SUB_BUCKETS + 3)
_ZERO = (0,) * (SUB_BUCKETS + 3)

Power: TypeAlias = tuple[int, ...]
"""(thread, code, cpu, power of two), and the detail where exits are told apart by one."""

Exits: TypeAlias = threads.PerThread | details.PerThreadWithDetails
"""What counts the exits that are timed."""

Values: TypeAlias = Mapping[Power, tuple[int, ...]]
"""Running totals: the power's buckets, then total, minimum and maximum."""


@attrs.frozen(eq=False)
class Snapshot:
    """Running totals since the program was attached."""

    base: Any
    values: Values
    untimed: int


class Reader:
    """Takes snapshots: three system calls more than counting by thread."""

    def __init__(
        self, loaded: Loaded, base: threads.Reader | details.Reader, key: struct.Struct, cpus: int
    ) -> None:
        """``base`` reads the counts, on so many CPUs; ``key`` is that of a power of two."""
        self._base = base
        self._key = key
        self._open_exits = loaded.maps["open_exits"]
        self._latencies = loaded.maps["latencies"]
        self._untimed = loaded.maps["latency_dropped"]
        self._cpus = cpus

    def snapshot(self) -> Snapshot:
        """The totals now."""
        # Those that have ended change no more; what they leave is read once and forgotten.
        ended = {
            key for key, value in self._open_exits.items() if _BEGAN.unpack_from(value)[0] == _ENDED
        }
        # Before the counts: what is timed has been counted when those are read.
        latencies = self._latencies.items()
        values = {self._key.unpack(key): _VALUE.unpack(value) for key, value in latencies}
        for key, _ in latencies:
            if key[:_THREAD] in ended:
                self._latencies.delete(key)
        for key in ended:
            self._open_exits.delete(key)
        untimed = per_cpu_sum(self._untimed, self._cpus)
        return Snapshot(self._base.snapshot(), values, untimed)


def per_cpu_sum(counter: Map, cpus: int) -> int:
    """The sum of a per-CPU array of one number."""
    buffer = ctypes.create_string_buffer(8 * cpus)
    counter.read_into(struct.pack("=I", 0), buffer)
    return sum(array("Q", buffer.raw))


@attrs.frozen(eq=False)
class Latencies:
    """Counts exits by thread, and measures how long they take.

    ``base`` must count entries as well; if it counts details, only what tells them is timed, and
    by them. With ``by_cpu``, they are measured by the CPU where the guest was left, too, which
    takes a place for each.
    """

    base: Exits
    by_cpu: bool = False
    open_exits: int = OPEN_EXITS
    latencies: int = LATENCIES

    @property
    def files(self) -> tuple[str, ...]:
        """The files of bpf/ after the architecture's."""
        return ("latency.c", *self.base.files)

    @property
    def generated(self) -> str:
        """The filter, in C."""
        return self.base.generated

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps to read."""
        return (*self.base.maps, "open_exits", "latencies", "latency_dropped")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Which function runs where."""
        return (*self.base.attachments, ON_END)

    @property
    def btf(self) -> tuple[BtfField, ...]:
        """Offsets that the files need."""
        return tuple(self.base.btf)

    @property
    def counted(self) -> tuple[str, ...]:
        """Which fields of its samples are counted, and whether by thread."""
        kind = self.base.detail
        return (*self.base.counted, f"{kind} latency" if kind else "latency")

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        return self.base.defines | {
            "KSTATS_LATENCY": 1,
            "KSTATS_LATENCY_BY_CPU": int(self.by_cpu),
            "KSTATS_OPEN_EXITS": self.open_exits,
            "KSTATS_LATENCIES": self.latencies,
        }

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        key = _KEY_WITH_DETAIL if self.base.detail else _KEY
        return Reader(loaded, self.base.reader(loaded), key, len(self.base.layout.cpus))

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted and measured between two snapshots."""
        sample = self.base.sample(before.base, now.base, online)
        exits: dict[Code, dict[Place, model.Exits]] = {
            code: dict(at) for code, at in sample.exits.items()
        }
        for key, values in now.values.items():
            thread, code, cpu, power, *detail = key
            grown = _grown(power, before.values.get(key, _ZERO), values)
            if grown.buckets:
                places = exits.setdefault((self.base.layout.isa, code), {})
                place = Place(cpu, thread, *detail)
                places[place] = places.get(place, untimed(0)) + model.Exits(0, grown)
        dropped = now.untimed - before.untimed
        return attrs.evolve(sample, exits=exits, timed=True, latency_dropped=dropped)


def _grown(power: int, before: tuple[int, ...], now: tuple[int, ...]) -> Histogram:
    """What was added to a power of two.

    The kernel has the extremes since the beginning: one that did not change may not have been
    met again, and then it is the bound of the outermost bucket that was.
    """
    first = power << SUB_BITS
    counts = {first + i: now[i] - before[i] for i in range(SUB_BUCKETS) if now[i] != before[i]}
    if not counts:
        return Histogram()
    minimum, maximum = now[_MINIMUM], now[_MAXIMUM]
    if any(before[:SUB_BUCKETS]):
        if minimum == before[_MINIMUM]:
            minimum = max(bounds(min(counts))[0], minimum)
        if maximum == before[_MAXIMUM]:
            maximum = min(bounds(max(counts))[1], maximum)
    return Histogram(counts, now[_TOTAL] - before[_TOTAL], minimum, maximum)
