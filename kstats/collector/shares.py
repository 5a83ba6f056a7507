"""Fair shares of the hashes that the processes of all VMs share: bpf/shares.c.

The kernel counts the entries that a process adds, and those that it refuses. Readers delete entries
of threads that have ended, and give them back here.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator, Mapping, Sequence

from kstats.loader.plan import MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import COUNT, U64, Record


class Hash(enum.IntEnum):
    """A hash, or ring buffer, of which each process has a share (enum shared_hash)."""

    DETAILS = 0
    THREADS = 1
    LATENCIES = 2
    SLOW_EXITS = 3
    HANDLED = 4


LOSSES: Mapping[Hash, str] = {
    Hash.DETAILS: "detail_dropped",
    Hash.THREADS: "unattributed",
    Hash.LATENCIES: "latency_dropped",
    Hash.SLOW_EXITS: "slow_dropped",
    Hash.HANDLED: "handler_dropped",
}
"""The kind of loss if a hash has no room (docs/glossary.md)."""

SHARE = 4
"""Free entries of a hash for each that a process may hold: one process gets a fifth of it."""

PROCESSES = 8192
"""Processes that can have a share at once."""

EVERYONE = 2**64 - 1
"""What all processes together are in the maps, beside their IDs."""


class Share(Record):
    """What happened to the entries of a process."""

    c_name = "share"
    _fields_ = (
        ("added", U64 * len(Hash)),
        ("refused", U64 * len(Hash)),
        ("second", U64),
        ("reported", U64),
    )


class Deleted(Record):
    """Entries of a process that were deleted."""

    c_name = "deleted"
    _fields_ = (("n", U64 * len(Hash)),)


_NOTHING = (0,) * len(Hash)
_NOT_DELETED = bytes(Deleted())

MAPS = (MapSize("shares", PROCESSES), MapSize("share_deleted", PROCESSES))


class Shares:
    """The shares of a loaded program."""

    MAP = "shares"
    """Only programs that count by thread have it."""

    def __init__(self, loaded: Loaded) -> None:
        self._shares = loaded.maps[self.MAP]
        self._deleted = loaded.maps["share_deleted"]
        self._last: Mapping[int, Sequence[int]] = {}

    def has_added(self, hash_: Hash) -> bool:
        """Return whether the kernel has ever added an entry to a hash.

        That takes one lookup. Reading an empty hash takes the kernel a look at every bucket.
        """
        found = self._everyone()
        return found is not None and bool(Share.from_buffer_copy(found).added[hash_])

    def _everyone(self) -> bytes | None:
        """Return what happened to the entries of all processes; None if there never were any."""
        return self._shares.read(COUNT.pack(EVERYONE))

    def give_back(self, hash_: Hash, entries: Mapping[int, int]) -> None:
        """Give back deleted entries: how many of each process."""
        if not entries:
            return
        for process, n in (*entries.items(), (EVERYONE, sum(entries.values()))):
            key = COUNT.pack(process)
            found = self._deleted.read(key)
            deleted = Deleted.from_buffer_copy(found) if found else Deleted()
            deleted.n[hash_] += n
            self._deleted.put(key, bytes(deleted))

    def settle(self) -> dict[int, dict[str, int]]:
        """Return what was refused since the last call: the kinds of losses of each process.

        Processes that have ended are forgotten, once all their entries were given back.
        """
        if self._everyone() is None:
            return {}
        found = {
            process: Share.from_buffer_copy(value)
            for key, value in self._shares.items()
            if (process := COUNT.unpack(key)[0]) != EVERYONE
        }
        refused = {process: tuple(share.refused) for process, share in found.items()}
        grown = {
            process: dict(_grown(self._last.get(process, _NOTHING), now))
            for process, now in refused.items()
        }
        forgotten = set(self._forget(found))
        self._last = {process: n for process, n in refused.items() if process not in forgotten}
        return {process: losses for process, losses in grown.items() if losses}

    def _forget(self, found: Mapping[int, Share]) -> Iterator[int]:
        for process, share in found.items():
            key = COUNT.pack(process)
            deleted = self._deleted.read(key) or _NOT_DELETED
            holds_none = list(share.added) == list(Deleted.from_buffer_copy(deleted).n)
            if holds_none and _has_ended(process):
                self._shares.delete(key)
                self._deleted.delete(key)
                yield process


def _grown(before: Sequence[int], now: Sequence[int]) -> Iterator[tuple[str, int]]:
    for hash_, old, new in zip(Hash, before, now, strict=True):
        if new != old:
            yield LOSSES[hash_], new - old


def _has_ended(process: int) -> bool:
    return not os.path.exists(f"/proc/{process}")  # noqa: PTH110 - start-up time
