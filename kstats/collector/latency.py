"""Latencies of exits: bpf/latency.c."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import ClassVar

import attrs

from kstats.collector.draft import Draft
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.collector.percpu import ON_ENTRY
from kstats.collector.shares import Hash, Shares
from kstats.histogram import SUB_BITS, SUB_BUCKETS, Histogram, bounds
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import COUNT, U32, U64, Fields, Record
from kstats.loader.syscall import Map
from kstats.model import Exits, Place

OPEN_EXITS = 16384
"""Threads whose exits can be timed at the same time."""

LATENCIES = 65536
"""Map entries for the histograms' powers of two: about six for each reason of a thread."""

_THREAD_ENDED = COUNT.pack(2**64 - 1)
_ANY_CPU = 2**32 - 1


class OpenExit(Record):
    """The last exit of a thread, until an entry follows."""

    c_name = "open_exit"
    _fields_ = (("began", U64), ("code", U64), ("cpu", U64))


class LatencyKey(Record):
    """The key of latencies: ``power`` is a power of two of the durations."""

    c_name = "latency_key"
    _fields_: ClassVar[Fields] = (("thread", U64), ("code", U64), ("cpu", U32), ("power", U32))


class DetailLatencyKey(LatencyKey):
    """The key in programs that count details."""

    _fields_: ClassVar[Fields] = (("detail", U64),)


class PowerLatency(Record):
    """A power of two of a histogram. The extremes are those since the program was attached."""

    c_name = "latency"
    _fields_ = (
        ("buckets", U64 * SUB_BUCKETS),
        ("total", U64),
        ("minimum", U64),
        ("maximum", U64),
    )


_THREAD = slice(LatencyKey.thread.offset, LatencyKey.thread.offset + LatencyKey.thread.size)
_BEGAN = slice(OpenExit.began.offset, OpenExit.began.offset + OpenExit.began.size)
_NOTHING = bytes(PowerLatency())


@attrs.frozen(eq=False)
class Reading:
    """Running totals since the program was attached.

    Attributes:
        powers: struct latency by struct latency_key, as the kernel stores them.
        dropped: Exits that were counted but not timed.
    """

    powers: Mapping[bytes, bytes]
    dropped: int


def read(maps: Mapping[str, Map], shares: Shares, cpus: int) -> Reading:
    """Read the totals with three system calls, and delete those of threads that ended."""
    # A thread that ended before its latencies are read adds no more to them.
    open_exits = maps["open_exits"].items()
    ended = {key for key, value in open_exits if value[_BEGAN] == _THREAD_ENDED}
    powers = dict(maps["latencies"].items())
    deleted: Counter[int] = Counter()
    for key in powers:
        if key[_THREAD] in ended:
            maps["latencies"].delete(key)
            deleted[COUNT.unpack(key[_THREAD])[0] >> 32] += 1
    shares.give_back(Hash.LATENCIES, deleted)
    for key in ended:
        maps["open_exits"].delete(key)
    return Reading(powers, maps["latency_dropped"].sum_cpus(cpus))


def _grown(power: int, before: bytes, now: bytes) -> Histogram:
    """Return what was added to a power of two.

    An extreme that did not change since the last reading may not have occurred again. Then the
    bound of the outermost bucket that grew stands for it.
    """
    old, new = PowerLatency.from_buffer_copy(before), PowerLatency.from_buffer_copy(now)
    first = power << SUB_BITS
    grown = {
        first + i: n - o
        for i, (n, o) in enumerate(zip(new.buckets, old.buckets, strict=True))
        if n != o
    }
    minimum, maximum = new.minimum, new.maximum
    if any(old.buckets):
        if minimum == old.minimum:
            minimum = max(bounds(min(grown))[0], minimum)
        if maximum == old.maximum:
            maximum = min(bounds(max(grown))[1], maximum)
    return Histogram(grown, new.total - old.total, minimum, maximum)


@attrs.frozen(eq=False)
class Latency(Feature):
    """Latencies of exits by thread. It needs exits by thread.

    Attributes:
        by_cpu: Whether to keep latencies by the CPU where the exit happened, too, which takes a
            map entry for each.
        detail: The kind of detail that the program counts, if any: then only exits that carry it
            are timed, and by detail.
        open_exits: Threads whose exits can be timed at the same time.
        latencies: Map entries for the histograms.
    """

    by_cpu: bool = False
    detail: str = ""
    open_exits: int = OPEN_EXITS
    latencies: int = LATENCIES

    phase = Phase.LATENCY
    files = ("latency.c", "entries.c")
    attachments = (ON_ENTRY, Attachment("sched_process_exit", "end_thread_latency", "raw"))

    @property
    def counted(self) -> tuple[str, ...]:
        return (f"{self.detail} latency" if self.detail else "latency",)

    @property
    def maps(self) -> tuple[MapSize, ...]:
        return (
            MapSize("open_exits", self.open_exits),
            MapSize("latencies", self.latencies),
            MapSize("latency_dropped"),
        )

    @property
    def defines(self) -> Mapping[str, int]:
        return {"KSTATS_LATENCY": 1, "KSTATS_LATENCY_BY_CPU": int(self.by_cpu)}

    @property
    def numbers(self) -> Mapping[str, int]:
        return {"KSTATS_LATENCIES_SIZE": self.latencies}

    @property
    def _key(self) -> type[LatencyKey]:
        return DetailLatencyKey if self.detail else LatencyKey

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Reading]:
        shares = Shares(loaded)
        return lambda: read(loaded.maps, shares, len(layout.cpus))

    def fill(self, draft: Draft, before: Reading, now: Reading) -> None:
        """Fill the latencies of exits that ended."""
        draft.fields |= {"timed": True, "latency_dropped": now.dropped - before.dropped}
        unpack = self._key.unpacker().unpack
        for key, value in now.powers.items():
            old = before.powers.get(key, _NOTHING)
            if value != old:
                thread, code, cpu, power, *detail = unpack(key)
                place = Place(-1 if cpu == _ANY_CPU else cpu, thread, *detail)
                draft.add(code, place, Exits(0, _grown(power, old, value)))
