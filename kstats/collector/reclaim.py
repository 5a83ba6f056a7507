"""Frees counters of threads that ended: VMs come and go for days, and maps are bounded."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Generic, TypeAlias, TypeVar

from kstats.collector.shares import PROCESSES, Hash, Shares
from kstats.loader.records import COUNT, WORD
from kstats.loader.syscall import Map

_Key = TypeVar("_Key")

Totals: TypeAlias = Mapping[bytes, int]
"""Counts by key; the thread is the first member of every key."""

_FEW = PROCESSES // 4
"""Entries that may belong to ended threads, however large the hash is: each may be another
process's, which has a share until its entries are freed."""


def has_ended(thread: int) -> bool:
    """Return whether no thread has this number (pid_tgid) any more."""
    task = f"/proc/{thread >> 32}/task/{thread & 0xFFFF_FFFF}"
    return not os.path.exists(task)  # noqa: PTH110 - start-up time


def thread_of(key: bytes) -> int:
    """Return the thread of a key."""
    return int(COUNT.unpack_from(key)[0])


class Freed(Generic[_Key]):
    """Values of counters that were freed since the last reading.

    They are part of the next reading, so totals never shrink from one reading to the next, even if
    a new thread gets the same number.
    """

    def __init__(self) -> None:
        self._counts: dict[_Key, int] = {}

    def add(self, key: _Key, n: int) -> None:
        """Add the value of a counter that has just been freed."""
        self._counts[key] = self._counts.get(key, 0) + n

    def take(self, used: Callable[[], Container[_Key]]) -> Mapping[_Key, int]:
        """Return what belongs to a reading; ``used`` returns the keys of its counters."""
        freed = self._counts
        if freed:
            there = used()
            # The number of a freed counter is in use again: its total continues from there.
            self._counts = {key: n for key, n in freed.items() if key in there}
        return freed

    def complete(self, found: dict[_Key, int]) -> dict[_Key, int]:
        """Add what was freed to a reading; return it."""
        for key, n in self.take(lambda: found).items():
            found[key] = found.get(key, 0) + n
        return found


class Reclaimer:
    """Deletes entries of a hash for threads that ended, once an eighth of it is used.

    An entry is deleted only after a reading that was taken when its thread had already ended, and
    its last value is reported.
    """

    def __init__(
        self,
        counters: Map,
        hash_: Hash,
        shares: Shares,
        freed: Callable[[bytes, int], None],
        has_ended: Callable[[int], bool] = has_ended,
    ) -> None:
        """Free entries of ``counters``, which is ``hash_``, and give them back to ``shares``.

        ``freed`` is called with the key and the last value of each.
        """
        self._counters = counters
        self._hash = hash_
        self._shares = shares
        self._freed = freed
        self._has_ended = has_ended
        self._room = min(counters.max_entries // 8, _FEW)
        self._ended: set[int] = set()

    def read(self) -> tuple[bytes, array[int]]:
        """Return the keys in one piece, and their counts."""
        if not self._shares.has_added(self._hash):
            return b"", array("Q")
        keys, values = self._counters.batch()
        return keys, array("Q", values)

    def reclaim(self, keys: bytes) -> None:
        """Delete entries of threads that had ended before the reading with these keys."""
        size = self._counters.key_size
        if len(keys) // size <= self._room:
            return
        threads = array("Q", keys)[:: size // WORD]
        if not self._ended.isdisjoint(threads):
            ended = (i for i, thread in enumerate(threads) if thread in self._ended)
            self._delete(keys[i * size : (i + 1) * size] for i in ended)
        self._ended = {thread for thread in {*threads} if self._has_ended(thread)}

    def _delete(self, keys: Iterable[bytes]) -> None:
        deleted: Counter[int] = Counter()
        for key in keys:
            thread = thread_of(key)
            if self._has_ended(thread):
                self._freed(key, COUNT.unpack(self._counters.pop(key))[0])
                deleted[thread >> 32] += 1
        self._shares.give_back(self._hash, deleted)


class HashReader:
    """Reads a hash of counters, and frees those of threads that ended."""

    def __init__(
        self,
        counters: Map,
        hash_: Hash,
        shares: Shares,
        has_ended: Callable[[int], bool] = has_ended,
    ) -> None:
        """See :class:`Reclaimer`."""
        self._freed: Freed[bytes] = Freed()
        self._size = counters.key_size
        self._hash = Reclaimer(counters, hash_, shares, self._freed.add, has_ended)

    def read(self) -> Totals:
        """Return the counts, with those of entries that were deleted since the last reading."""
        keys, counts = self._hash.read()
        size = self._size
        pieces = (keys[i : i + size] for i in range(0, len(keys), size))
        totals = self._freed.complete(dict(zip(pieces, counts, strict=True)))
        self._hash.reclaim(keys)
        return totals
