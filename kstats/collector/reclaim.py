"""Frees counters of threads that ended: VMs come and go for days, and maps are bounded.

Only entries of the shared hash are freed. An entry of a CPU's own table stays; it costs the
threads of the present one lookup in the hash.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from kstats.loader.records import COUNT, U64, Record
from kstats.loader.syscall import Map

Key: TypeAlias = tuple[int, int, int]
"""(thread, code, cpu)."""


class ThreadKey(Record):
    """The key of more_threads (bpf/exits_thread.c)."""

    c_name = "thread_key"
    _fields_ = (("thread", U64), ("code", U64), ("cpu", U64))


def has_ended(thread: int) -> bool:
    """Return whether no thread has this number (pid_tgid) any more."""
    task = f"/proc/{thread >> 32}/task/{thread & 0xFFFF_FFFF}"
    return not os.path.exists(task)  # noqa: PTH110 - start-up time


class Reclaimer:
    """Deletes counters of threads that ended, once the hash is more than half full.

    A counter is deleted only after a reading that was taken when its thread had already ended,
    and the value that it had when it was deleted is kept for the next reading. So totals never
    shrink from one reading to the next, even if a new thread gets the same number.
    """

    def __init__(self, more: Map, has_ended: Callable[[int], bool] = has_ended) -> None:
        self._more = more
        self._has_ended = has_ended
        self._ended: set[int] = set()
        self._gone: dict[Key, int] = {}

    def completed(self, found: Mapping[Key, int]) -> Mapping[Key, int]:
        """Return a reading of the hash with the counters that were deleted since the last one."""
        gone, self._gone = self._gone, {}
        totals = {**found, **{key: found.get(key, 0) + n for key, n in gone.items()}}
        # The number of a deleted counter is in use again: its total continues from there.
        self._gone = {key: n for key, n in gone.items() if key in found}
        self._reclaim(found)
        return totals

    def _reclaim(self, found: Mapping[Key, int]) -> None:
        if len(found) * 2 <= self._more.max_entries:
            return
        self._delete(key for key in found if key[0] in self._ended)
        threads = {thread for thread, _, _ in found}
        self._ended = {thread for thread in threads if self._has_ended(thread)}

    def _delete(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if self._has_ended(key[0]):
                value = self._more.pop(bytes(ThreadKey(*key)))
                self._gone[key] = self._gone.get(key, 0) + COUNT.unpack(value)[0]
