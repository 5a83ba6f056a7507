"""Slow exits, one by one: bpf/slow_exits.c."""

from __future__ import annotations

import ctypes
import mmap
import time
from collections import Counter
from collections.abc import Callable, Mapping

import attrs

from kstats.collector.draft import Draft
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.collector.shares import Hash, Shares
from kstats.loader.plan import MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import U32, U64, Record
from kstats.loader.ringbuf import HEADER, RingBuffer
from kstats.model import Place, SlowExit

RATE = 1000
"""Exits of a process that are reported in a second; more are dropped."""

PAGES = 64
"""Pages of the ring buffer, a power of two: 64 hold 5,461 exits, a fifth for each process."""


class SlowExitRecord(Record):
    """A record of the ring buffer."""

    c_name = "slow_exit"
    _fields_ = (
        ("thread", U64),
        ("code", U64),
        ("ended", U64),
        ("ns", U64),
        ("cpu", U32),
        ("padding", U32),
    )


_RECORD = ctypes.sizeof(SlowExitRecord) + HEADER


@attrs.frozen(eq=False)
class Reading:
    """What the ring buffer had since the last reading.

    Attributes:
        exits: In the order of their ends.
        epoch: When the monotonic clock was zero, in seconds since the epoch.
        dropped: Slow exits dropped since the program was attached.
    """

    exits: tuple[SlowExitRecord, ...]
    epoch: float
    dropped: int


class SlowExitsReader:
    """Takes the records out of the ring buffer."""

    def __init__(self, loaded: Loaded, layout: Layout) -> None:
        self._ring = RingBuffer(loaded.maps["slow_exits"])
        self._dropped = loaded.maps["slow_dropped"]
        self._shares = Shares(loaded)
        self._cpus = len(layout.cpus)

    def read(self) -> Reading:
        """Return the records since the last call."""
        exits = [SlowExitRecord.from_buffer_copy(record) for record in self._ring.records()]
        exits.sort(key=lambda exit_: exit_.ended)  # CPUs report in any order
        self._shares.give_back(Hash.SLOW_EXITS, Counter(exit_.thread >> 32 for exit_ in exits))
        epoch = time.time() - time.monotonic()
        return Reading(tuple(exits), epoch, self._dropped.sum_cpus(self._cpus))


@attrs.frozen(eq=False)
class SlowExits(Feature):
    """Exits that take longer than a threshold. It needs latencies.

    Attributes:
        threshold: In nanoseconds.
        rate: Exits of a process that are reported in a second.
        pages: Pages of the ring buffer, a power of two.
    """

    threshold: int
    rate: int = RATE
    pages: int = PAGES

    phase = Phase.SLOW_EXITS
    files = ("slow_exits.c",)
    counted = ("slow",)

    @property
    def maps(self) -> tuple[MapSize, ...]:
        return (MapSize("slow_exits", self.pages * mmap.PAGESIZE), MapSize("slow_dropped"))

    @property
    def defines(self) -> Mapping[str, int]:
        return {"KSTATS_SLOW_EXITS": 1}

    @property
    def numbers(self) -> Mapping[str, int]:
        return {
            "KSTATS_SLOWER_THAN": self.threshold,
            "KSTATS_SLOW_RATE": self.rate,
            "KSTATS_SLOW_SIZE": self.pages * mmap.PAGESIZE // _RECORD,
        }

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Reading]:
        return SlowExitsReader(loaded, layout).read

    def fill(self, draft: Draft, before: Reading, now: Reading) -> None:
        """Fill the slow exits."""
        draft.fields |= {
            "slow": tuple(
                SlowExit(
                    now.epoch + exit_.ended / 1e9,
                    (draft.layout.isa, exit_.code),
                    Place(exit_.cpu, exit_.thread),
                    exit_.ns,
                )
                for exit_ in now.exits
            ),
            "slow_dropped": now.dropped - before.dropped,
        }
