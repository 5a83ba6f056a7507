"""The per-thread layout of bpf/threads.c: reading it, and the difference of two readings."""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Self

import attrs

from kstats.collector import percpu
from kstats.loader.program import Attachment, Loaded
from kstats.loader.reclaim import Reclaimer
from kstats.model import Code, Exits, Place, Sample, untimed

TABLE_SIZE = 1024
"""Places of each CPU's own table: with 24 bytes each, the most that a per-CPU value can hold."""

MORE_THREADS = 65536
"""Places that all CPUs share for what finds none in their own tables."""

_FIELDS = 3
_WORD = 8
_KEY = struct.pack("=I", 0)
_CODE, _THREAD, _COUNT = range(_FIELDS)

Counts = Mapping[tuple[int, int, int], int]
"""Running totals by (thread, code, cpu)."""


def table_size(entries: int) -> int:
    """The places of a CPU's own table where ``entries`` are wanted: a power of two, not more."""
    return min(TABLE_SIZE, 1 << entries.bit_length() - 1)


@attrs.frozen
class Filter:
    """Which threads to count; the kernel decides, others' exits cost next to nothing.

    ``pids`` are processes, ``tids`` threads; empty ones do not filter.
    """

    pids: frozenset[int] = frozenset()
    tids: frozenset[int] = frozenset()

    def allows(self, thread: int) -> bool:
        """Whether a thread (pid_tgid) is wanted."""
        pid, tid = thread >> 32, thread & 0xFFFF_FFFF
        return (not self.pids or pid in self.pids) and (not self.tids or tid in self.tids)

    def function(self) -> str:
        """C that says whether a thread (pid_tgid) is wanted."""
        tests = [_any_of("(u32)(thread >> 32)", self.pids), _any_of("(u32)thread", self.tids)]
        condition = " && ".join(test for test in tests if test) or "1"
        return f"static __always_inline bool is_wanted(u64 thread)\n{{\n\treturn {condition};\n}}\n"


def _any_of(expression: str, numbers: Iterable[int]) -> str:
    tests = " || ".join(f"{expression} == {number}u" for number in sorted(numbers))
    return f"({tests})" if tests else ""


@attrs.frozen(eq=False)
class Snapshot:
    """Running totals since the program was attached; ``base`` has what lost its thread."""

    base: percpu.Snapshot
    counts: Counts


class Reader:
    """Takes snapshots of a loaded per-thread program: four system calls, on any host."""

    def __init__(self, loaded: Loaded, layout: percpu.Layout, table_size: int) -> None:
        """The program must have been built for ``layout`` and ``table_size``."""
        self._base = percpu.Reader(loaded, layout)
        self._layout = layout
        self._tables = loaded.maps["threads"]
        self._more = loaded.maps["more_threads"]
        self._reclaimer = Reclaimer(self._more)
        self._size = table_size * _FIELDS * _WORD
        self._buffer = ctypes.create_string_buffer(self._size * len(layout.cpus))
        self._empty = bytes(self._size)

    def snapshot(self) -> Snapshot:
        """The totals now; all is read before any of it is looked at, which takes longer."""
        self._tables.read_into(_KEY, self._buffer)
        base = self._base.snapshot()
        counts = dict(self._in_tables())
        for key, n in self._reclaimer.completed(self._in_hash()).items():
            counts[key] = counts.get(key, 0) + n
        return Snapshot(base, counts)

    def _in_hash(self) -> dict[tuple[int, int, int], int]:
        return {
            struct.unpack("=QQQ", key): struct.unpack("=Q", value)[0]
            for key, value in self._more.items()
        }

    def _in_tables(self) -> Iterator[tuple[tuple[int, int, int], int]]:
        values = self._buffer.raw
        for i, cpu in enumerate(self._layout.cpus):
            table = values[i * self._size : (i + 1) * self._size]
            if table == self._empty:
                continue
            words = array("Q", table)
            columns = (words[field::_FIELDS] for field in range(_FIELDS))
            for code, thread, n in zip(*columns, strict=True):
                if thread:
                    yield (thread, code, cpu), n


@attrs.frozen(eq=False)
class PerThread:
    """Counts exits by thread and CPU: what to load, and how to read it.

    ``table_size`` must be a power of two. What finds no place in a CPU's table nor in
    ``more_threads`` is counted without its thread. With ``entries``, entries are counted by CPU,
    too, whoever's they are.
    """

    layout: percpu.Layout
    wanted: Filter = Filter()
    table_size: int = TABLE_SIZE
    more_threads: int = MORE_THREADS
    entries: bool = False
    maps: ClassVar = (*percpu.PerCpu.maps, "threads", "more_threads")
    btf: ClassVar = ()
    detail: ClassVar[str | None] = None

    def with_entries(self) -> Self:
        """The same, and entries."""
        return attrs.evolve(self, entries=True)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of bpf/ after the architecture's."""
        return ("counts.c", *(("entries.c",) if self.entries else ()), "exits_thread.c")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Which function runs where."""
        entry = (percpu.ON_ENTRY,) if self.entries else ()
        return (*entry, Attachment("kvm_exit", "on_exit"))

    @property
    def counted(self) -> tuple[str, ...]:
        """Which fields of its samples are counted, and whether by thread."""
        return (*(("entries",) if self.entries else ()), "exits", "threads")

    @property
    def generated(self) -> str:
        """The filter, in C."""
        return self.wanted.function()

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        return percpu.PerCpu(self.layout).defines | {
            "KSTATS_TABLE_SIZE": self.table_size,
            "KSTATS_MORE_THREADS": self.more_threads,
        }

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        return Reader(loaded, self.layout, self.table_size)

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots; exits that lost their thread have thread 0."""
        base = self.layout.sample(before.base, now.base, online)
        exits: dict[Code, dict[Place, Exits]] = {code: dict(at) for code, at in base.exits.items()}
        places: dict[tuple[int, int], Place] = {}  # finding one takes less than making one
        for (thread, code, cpu), n in now.counts.items():
            if more := n - before.counts.get((thread, code, cpu), 0):
                key = cpu, thread
                place = places.get(key)
                if place is None:
                    place = places[key] = Place(cpu, thread)
                exits.setdefault((self.layout.isa, code), {})[place] = untimed(more)
        return attrs.evolve(base, exits=exits)
