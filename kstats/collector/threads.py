"""Exits by thread and CPU: bpf/exits_thread.c."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import attrs

from kstats.arch.base import Arch
from kstats.collector import first_exits, shares
from kstats.collector.draft import Draft
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.collector.percpu import ON_EXIT, Entries
from kstats.collector.reclaim import Reclaimer
from kstats.collector.shares import Hash, Shares
from kstats.collector.tracepoints import Tracepoints
from kstats.filters import ThreadFilter
from kstats.loader.plan import MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import ONLY, U64, WORD, Record
from kstats.model import Place

TABLE_SIZE = 1024
"""Entries of each CPU's own table: of 24 bytes each, the most that fit in a per-CPU value."""

MORE_THREADS = 65536
"""Entries of the hash that all CPUs share, for exits that do not fit in the tables."""

Key: TypeAlias = tuple[int, int, int]
"""(thread, code, cpu)."""

Totals: TypeAlias = Mapping[Key, int]
"""Running totals."""


class ThreadKey(Record):
    """The key of more_threads."""

    c_name = "thread_key"
    _fields_ = (("thread", U64), ("code", U64), ("cpu", U64))


class ThreadCount(Record):
    """An entry of a CPU's table; thread 0 marks an unused one."""

    c_name = "thread_count"
    _fields_ = (("thread", U64), ("code", U64), ("n", U64))


_WORDS = ctypes.sizeof(ThreadCount) // WORD
_THREAD_KEY = ThreadKey.unpacker()
_ALL = ThreadFilter()


def table_size(entries: int) -> int:
    """Return the size of a CPU's table where ``entries`` are wanted: a power of two, not more."""
    return min(TABLE_SIZE, 1 << entries.bit_length() - 1)


class ThreadsReader:
    """Reads the tables and the hash with two system calls, whatever the number of CPUs."""

    def __init__(self, loaded: Loaded, layout: Layout, table_size: int) -> None:
        self._layout = layout
        self._tables = loaded.maps["threads"]
        self._more = Reclaimer(loaded.maps["more_threads"], Hash.THREADS, Shares(loaded))
        self._size = table_size * ctypes.sizeof(ThreadCount)
        self._buffer = ctypes.create_string_buffer(self._size * len(layout.cpus))
        self._empty = bytes(self._size)

    def read(self) -> Totals:
        """Return the totals; the maps are read before either is decoded, which takes longer."""
        self._tables.read_into(ONLY, self._buffer)
        more = self._more.read()
        totals = dict(self._in_tables())
        keys = _THREAD_KEY.iter_unpack(b"".join(more))
        for key, n in zip(keys, more.values(), strict=True):
            totals[key] = totals.get(key, 0) + n
        return totals

    def _in_tables(self) -> Iterator[tuple[Key, int]]:
        values = self._buffer.raw
        for i, cpu in enumerate(self._layout.cpus):
            table = values[i * self._size : (i + 1) * self._size]
            if table == self._empty:
                continue
            words = array("Q", table)
            columns = (words[field::_WORDS] for field in range(_WORDS))
            for thread, code, n in zip(*columns, strict=True):
                if thread:
                    yield (thread, code, cpu), n


@attrs.frozen(eq=False)
class ExitsByThread(Feature):
    """Exits by thread and CPU, of the selected threads.

    Attributes:
        wanted: The threads to count.
        table_size: Entries of each CPU's own table, a power of two.
        more_threads: Entries of the shared hash. Exits that fit in neither keep their CPU and
            code, and lose their thread.
    """

    wanted: ThreadFilter = _ALL
    table_size: int = TABLE_SIZE
    more_threads: int = MORE_THREADS

    phase = Phase.COUNTS
    files = ("exits_thread.c", "first_exits.c", "shares.c")
    btf = first_exits.BTF
    attachments = (ON_EXIT,)
    counted = ("exits", "threads")

    @classmethod
    def sized(cls, wanted: ThreadFilter, entries: int) -> ExitsByThread:
        """Return the feature with ``entries`` in the hash, and at most as many in each table."""
        return cls(wanted, table_size(entries), entries)

    def companions(self, arch: Arch, isa: str) -> tuple[Feature, ...]:
        events = Tracepoints.kvmstat(arch, isa)
        return (Entries(), events) if events.events else (Entries(),)

    @property
    def maps(self) -> tuple[MapSize, ...]:
        size = self.table_size * ctypes.sizeof(ThreadCount)
        tables = (MapSize("threads", 1, size), MapSize("more_threads", self.more_threads))
        return (*tables, *first_exits.MAPS, *shares.MAPS)

    @property
    def numbers(self) -> Mapping[str, int]:
        return {
            "KSTATS_TABLE_SIZE": self.table_size,
            "KSTATS_MORE_THREADS": self.more_threads,
            # A process that is counted alone need not leave anything to others.
            "KSTATS_SHARE": 0 if len(self.wanted.pids) == 1 else shares.SHARE,
        }

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Totals]:
        return ThreadsReader(loaded, layout, self.table_size).read

    def fill(self, draft: Draft, before: Totals, now: Totals) -> None:
        """Fill exits by thread."""
        places: dict[tuple[int, int], Place] = {}  # finding one takes less than making one
        for key, n in now.items():
            if more := n - before.get(key, 0):
                thread, code, cpu = key
                place = places.get(at := (cpu, thread))
                if place is None:
                    place = places[at] = Place(cpu, thread)
                draft.count(code, place, more)
