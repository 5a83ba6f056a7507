"""Places of threads that have ended, given back: VMs come and go for days, and maps are bounded.

Only the hash that all CPUs share gives places back; a CPU's own table keeps its own. What a
thread of the past has there costs those of the present a look into the hash, and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from kstats.loader.syscall import Map

Key: TypeAlias = tuple[int, int, int]
"""(thread, code, cpu)."""

_KEY = struct.Struct("=QQQ")
_COUNT = struct.Struct("=Q")


def has_ended(thread: int) -> bool:
    """Whether no thread of this number (pid_tgid) is there any more."""
    return not Path(f"/proc/{thread >> 32}/task/{thread & 0xFFFF_FFFF}").exists()


class Reclaimer:
    """Deletes counters of threads that ended from a hash that is more than half full.

    A counter goes only after a reading that was taken when its thread had ended already, and
    what the kernel had in it when it went is kept for the next reading: so totals never shrink
    between two readings, whoever gets the thread's number then.
    """

    def __init__(self, more: Map, has_ended: Callable[[int], bool] = has_ended) -> None:
        """``more`` is the hash."""
        self._more = more
        self._has_ended = has_ended
        self._ended: set[int] = set()
        self._gone: dict[Key, int] = {}

    def completed(self, found: Mapping[Key, int]) -> Mapping[Key, int]:
        """A reading of the hash, with what the counters had that went after the last one."""
        gone, self._gone = self._gone, {}
        totals = {**found, **{key: found.get(key, 0) + n for key, n in gone.items()}}
        # Of a number that is in use again the total has to go on from where it was.
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
                value = self._more.pop(_KEY.pack(*key))
                self._gone[key] = self._gone.get(key, 0) + _COUNT.unpack(value)[0]
