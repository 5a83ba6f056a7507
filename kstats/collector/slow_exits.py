"""Single exits that take long, by bpf/slow.c: what is loaded beside latencies, and reading it."""

from __future__ import annotations

import ctypes
import mmap
import struct
import time
from array import array

import attrs

from kstats.arch.base import BtfField
from kstats.collector import latency
from kstats.collector.latency import Latencies
from kstats.loader.program import Attachment, Loaded
from kstats.loader.ringbuf import RingBuffer
from kstats.model import Place, Sample, SlowExit

RATE = 1000
"""Exits that are told in a second, of each CPU."""

PAGES = 64
"""Of the ring buffer, a power of two: with 64, about 4,600 exits."""

_EXIT = struct.Struct("=4QI4x")
_BUDGET = 3
_DROPPED = 2
_KEY = struct.pack("=I", 0)


@attrs.frozen(eq=False)
class Snapshot:
    """``exits`` as (thread, code, moment it ended, nanoseconds, CPU) since the last snapshot.

    ``epoch`` is when the clock of those moments was zero, seconds since the epoch.
    """

    base: latency.Snapshot
    exits: tuple[tuple[int, int, int, int, int], ...]
    epoch: float
    dropped: int


class Reader:
    """Takes snapshots: what has been told is taken out of the ring buffer."""

    def __init__(self, loaded: Loaded, base: latency.Reader, cpus: int) -> None:
        """``base`` reads the latencies, on so many CPUs."""
        self._base = base
        self._ring = RingBuffer(loaded.maps["slow_exits"])
        self._budgets = loaded.maps["slow_budgets"]
        self._buffer = ctypes.create_string_buffer(8 * _BUDGET * cpus)

    def snapshot(self) -> Snapshot:
        """What was told since the last one."""
        exits = tuple(_EXIT.unpack(record) for record in self._ring.records())
        self._budgets.read_into(_KEY, self._buffer)
        dropped = sum(array("Q", self._buffer.raw)[_DROPPED::_BUDGET])
        epoch = time.time() - time.monotonic()
        return Snapshot(self._base.snapshot(), exits, epoch, dropped)


@attrs.frozen(eq=False)
class SlowExits:
    """Measures latencies, and tells single exits of more than ``threshold`` nanoseconds."""

    base: Latencies
    threshold: int
    rate: int = RATE
    pages: int = PAGES

    @property
    def files(self) -> tuple[str, ...]:
        """The files of bpf/ after the architecture's."""
        return ("slow_exits.c", *self.base.files)

    @property
    def generated(self) -> str:
        """The filter, in C."""
        return self.base.generated

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps to read."""
        return (*self.base.maps, "slow_exits", "slow_budgets")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Which function runs where."""
        return self.base.attachments

    @property
    def btf(self) -> tuple[BtfField, ...]:
        """Offsets that the files need."""
        return self.base.btf

    @property
    def counted(self) -> tuple[str, ...]:
        """Which fields of its samples are counted, and whether by thread."""
        return (*self.base.counted, "slow")

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        return self.base.defines | {
            "KSTATS_SLOWER_THAN": self.threshold,
            "KSTATS_SLOW_RATE": self.rate,
            "KSTATS_SLOW_PAGES": self.pages,
            "KSTATS_PAGE_SIZE": mmap.PAGESIZE,
        }

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        return Reader(loaded, self.base.reader(loaded), len(self.base.base.layout.cpus))

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted, measured and told between two snapshots."""
        isa = self.base.base.layout.isa
        told = sorted(now.exits, key=lambda told: told[2])  # CPUs tell when they like
        return attrs.evolve(
            self.base.sample(before.base, now.base, online),
            slow=tuple(
                SlowExit(now.epoch + ended / 1e9, (isa, code), Place(cpu, thread), ns)
                for thread, code, ended, ns, cpu in told
            ),
            slow_dropped=now.dropped - before.dropped,
        )
