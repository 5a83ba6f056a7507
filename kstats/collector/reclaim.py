"""Frees counters of threads that ended: VMs come and go for days, and maps are bounded.

Only entries of shared hashes are freed. An entry of a CPU's own table stays; it costs the
threads of the present one lookup in the hash.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from kstats.collector.shares import PROCESSES, Hash, Shares
from kstats.loader.records import COUNT
from kstats.loader.syscall import Map

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


class Reclaimer:
    """Deletes counters of threads that ended, once an eighth of the hash is used.

    A counter is deleted only after a reading that was taken when its thread had already ended,
    and the value that it had when it was deleted is kept for the next reading. So totals never
    shrink from one reading to the next, even if a new thread gets the same number.
    """

    def __init__(
        self,
        counters: Map,
        hash_: Hash,
        shares: Shares,
        has_ended: Callable[[int], bool] = has_ended,
    ) -> None:
        """Free entries of ``counters``, which is ``hash_``, and give them back to ``shares``."""
        self._counters = counters
        self._hash = hash_
        self._shares = shares
        self._has_ended = has_ended
        self._room = min(counters.max_entries // 8, _FEW)
        self._ended: set[int] = set()
        self._gone: dict[bytes, int] = {}

    def read(self) -> Totals:
        """Read the hash; return its counts with those that were deleted since the last reading."""
        keys, values = self._counters.batch()
        size = self._counters.key_size
        pieces = (keys[i : i + size] for i in range(0, len(keys), size))
        return self.completed(dict(zip(pieces, array("Q", values), strict=True)))

    def completed(self, found: Totals) -> Totals:
        """Return a reading of the hash with the counters that were deleted since the last one."""
        gone, self._gone = self._gone, {}
        totals = {**found, **{key: found.get(key, 0) + n for key, n in gone.items()}}
        # The number of a deleted counter is in use again: its total continues from there.
        self._gone = {key: n for key, n in gone.items() if key in found}
        self._reclaim(found)
        return totals

    def _reclaim(self, found: Totals) -> None:
        if len(found) <= self._room:
            return
        threads = {key: thread_of(key) for key in found}
        self._delete(key for key, thread in threads.items() if thread in self._ended)
        self._ended = {thread for thread in {*threads.values()} if self._has_ended(thread)}

    def _delete(self, keys: Iterable[bytes]) -> None:
        deleted: Counter[int] = Counter()
        for key in keys:
            thread = thread_of(key)
            if self._has_ended(thread):
                value = self._counters.pop(key)
                self._gone[key] = self._gone.get(key, 0) + COUNT.unpack(value)[0]
                deleted[thread >> 32] += 1
        self._shares.give_back(self._hash, deleted)
