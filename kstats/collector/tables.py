"""The table of exits by thread that each CPU has: bpf/exits_thread.c."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kstats.collector.counters import Counters, Key
from kstats.collector.reclaim import has_ended
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import ONLY, U64, WORD, Record
from kstats.loader.syscall import run_program

FREED = 64
"""Counters that are freed at once: the CPU is interrupted for about a microsecond."""

FREE = Attachment("", "free_counters", "raw")


class ThreadCount(Record):
    """An entry of a CPU's table; thread 0 marks an unused one."""

    c_name = "thread_count"
    _fields_ = (("thread", U64), ("code", U64), ("n", U64))


class OldCount(Record):
    """A counter that is to be freed."""

    c_name = "old_count"
    _fields_ = (("entry", U64), ("n", U64), ("freed", U64))


OLD_COUNTS = MapSize("old_counts", 1, FREED * ctypes.sizeof(OldCount), by_address=True)

_WORDS = ctypes.sizeof(ThreadCount) // WORD
_OldCounts = OldCount * FREED


class _Table(NamedTuple):
    """The table of a CPU as it was read, by entry. Unused entries have the thread 0."""

    cpu: int
    threads: array[int]
    codes: array[int]
    counts: array[int]


class Tables:
    """Reads the tables, and frees counters of threads that ended in those that are a quarter full.

    A counter is freed only after a reading that was taken when its thread had already ended, and
    only if it still has the value of that reading.
    """

    def __init__(
        self,
        loaded: Loaded,
        cpus: Sequence[int],
        size: int,
        freed: Callable[[Key, int], None],
        has_ended: Callable[[int], bool] = has_ended,
    ) -> None:
        """Read tables of ``size`` entries; ``freed`` is called with each counter that is freed."""
        self._tables = loaded.maps["threads"]
        self._old = loaded.maps[OLD_COUNTS.name]
        self._program = loaded.programs[FREE.function]
        self._cpus = cpus
        self._entries = size
        self._cpu_of_entry = array("Q", [cpu for cpu in cpus for _ in range(size)])
        self._room = size // 4
        self._freed = freed
        self._has_ended = has_ended
        self._buffer = ctypes.create_string_buffer(ctypes.sizeof(ThreadCount) * size * len(cpus))
        self._found = Counters.of({})
        self._ended: set[int] = set()
        self._full: list[int] = []

    def read(self) -> None:
        """Read all tables, with one system call."""
        self._tables.read_into(ONLY, self._buffer)

    def counters(self) -> Counters:
        """Return the entries that were read."""
        words = array("Q")
        words.frombytes(memoryview(self._buffer))
        threads, codes, counts = (words[field::_WORDS] for field in range(_WORDS))
        is_same = threads == self._found.threads
        self._found = Counters(threads, codes, self._cpu_of_entry, counts)
        if not is_same:
            self._full = [*self._find_full()]
        return self._found

    def _find_full(self) -> Iterator[int]:
        """Yield the number of each table that has many used entries."""
        for i in range(len(self._cpus)):
            threads = self._found.threads[i * self._entries : (i + 1) * self._entries]
            if self._entries - threads.count(0) > self._room:
                yield i

    def _tables_to_free(self) -> list[_Table]:
        threads, codes, _, counts = self._found
        slices = ((i, slice(i * self._entries, (i + 1) * self._entries)) for i in self._full)
        return [_Table(self._cpus[i], threads[at], codes[at], counts[at]) for i, at in slices]

    def reclaim(self) -> None:
        """Free counters of threads that had ended before the last :meth:`read`."""
        full = self._tables_to_free()
        ended = {thread for thread in self._ended if self._has_ended(thread)}
        for table in full if ended else ():
            old = [entry for entry, thread in enumerate(table.threads) if thread in ended]
            for i in range(0, len(old), FREED):
                for entry in self._free(table, old[i : i + FREED]):
                    key = table.threads[entry], table.codes[entry], table.cpu
                    self._freed(key, table.counts[entry])
        found = {thread for table in full for thread in table.threads} - {0}
        self._ended = {thread for thread in found if self._has_ended(thread)}

    def _free(self, table: _Table, entries: Sequence[int]) -> list[int]:
        """Free entries that still have their counts; return which were freed."""
        old = _OldCounts(*(OldCount(entry, table.counts[entry]) for entry in entries))
        self._old.put(ONLY, bytes(old))
        # No thread runs on a CPU that is offline: its table keeps its counters.
        if not run_program(self._program, table.cpu):
            return []
        after = _OldCounts.from_buffer_copy(self._old.read(ONLY) or b"")
        return [one.entry for one in after if one.freed]
