"""Exits by thread and CPU: bpf/exits_thread.c."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Mapping

import attrs

from kstats.arch.base import Arch
from kstats.collector import first_exits, shares
from kstats.collector.counters import Counters, Grouping, Key, Totals, grown
from kstats.collector.draft import Draft
from kstats.collector.feature import Feature, Phase
from kstats.collector.layout import Layout
from kstats.collector.percpu import ON_EXIT, Entries
from kstats.collector.reclaim import Freed, Reclaimer
from kstats.collector.shares import Hash, Shares
from kstats.collector.tables import FREE, FREED, OLD_COUNTS, Tables, ThreadCount
from kstats.collector.tracepoints import Tracepoints
from kstats.filters import ThreadFilter
from kstats.loader.plan import MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import U64, WORD, Record

TABLE_SIZE = 1024
"""Entries of each CPU's own table: of 24 bytes each, the most that fit in a per-CPU value."""

MORE_THREADS = 65536
"""Entries of the hash that all CPUs share, for exits that do not fit in the tables."""


class ThreadKey(Record):
    """The key of more_threads."""

    c_name = "thread_key"
    _fields_ = (("thread", U64), ("code", U64), ("cpu", U64))


_THREAD_KEY = ThreadKey.unpacker()
_KEY_WORDS = ctypes.sizeof(ThreadKey) // WORD
_ALL = ThreadFilter()


def table_size(entries: int) -> int:
    """Return the size of a CPU's table where ``entries`` are wanted: a power of two, not more."""
    return min(TABLE_SIZE, 1 << entries.bit_length() - 1)


class ThreadsReader:
    """Reads the tables and the hash with two system calls, whatever the number of CPUs."""

    def __init__(self, loaded: Loaded, layout: Layout, table_size: int) -> None:
        self._freed: Freed[Key] = Freed()
        self._grouping = Grouping()
        self._tables = Tables(loaded, layout.cpus, table_size, self._freed.add)
        more = loaded.maps["more_threads"]
        self._more = Reclaimer(more, Hash.THREADS, Shares(loaded), self._forget)

    def _forget(self, key: bytes, n: int) -> None:
        self._freed.add(_THREAD_KEY.unpack(key), n)

    def read(self) -> Totals:
        """Return the totals; the maps are read before either is decoded, which takes longer."""
        self._tables.read()
        keys, counts = self._more.read()
        found = self._tables.counters()
        if counts:
            words = array("Q", keys)
            threads, codes, cpus = (words[field::_KEY_WORDS] for field in range(_KEY_WORDS))
            found = found.and_(Counters(threads, codes, cpus, counts))
        if freed := self._freed.take(lambda: {*zip(*found[:-1], strict=True)}):
            found = found.and_(Counters.of(freed))
        totals = self._grouping.totals(found)
        self._tables.reclaim()
        self._more.reclaim(keys)
        return totals


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
    attachments = (ON_EXIT, FREE)
    counted = ("exits", "threads")

    @classmethod
    def sized(cls, wanted: ThreadFilter, entries: int) -> ExitsByThread:
        """Return the feature with ``entries`` in the hash, and at most as many in each table."""
        return cls(wanted, table_size(entries), entries)

    def companions(self, arch: Arch, isa: str) -> tuple[Feature, ...]:
        events = Tracepoints.kvmstat(arch, isa)
        return (Entries(), events) if events.events else (Entries(),)

    @property
    def defines(self) -> Mapping[str, int]:
        return {"KSTATS_FREED": FREED}

    @property
    def maps(self) -> tuple[MapSize, ...]:
        size = self.table_size * ctypes.sizeof(ThreadCount)
        tables = (MapSize("threads", 1, size), MapSize("more_threads", self.more_threads))
        return (*tables, OLD_COUNTS, *first_exits.MAPS, *shares.MAPS)

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
        for code, totals in now.items():
            draft.count_all(code, totals.places, grown(before.get(code), totals))
