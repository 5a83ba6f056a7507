"""Entries of threads that ended are freed, and no count is lost or reported twice."""

from __future__ import annotations

import os
import struct
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kstats.collector.live import Collector
from kstats.collector.reclaim import HashReader
from kstats.collector.shares import Hash as Shared
from kstats.collector.threads import ExitsByThread, ThreadKey
from kstats.filters import ThreadFilter
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.test_threads import exits_of, in_threads, me

ME, HER, HIM = 7 << 32 | 8, 7 << 32 | 9, 7 << 32 | 10


class Hash:
    """A hash of which three entries are an eighth."""

    max_entries, key_size = 24, 24

    def __init__(self) -> None:
        self.counts: dict[bytes, int] = {}

    def batch(self) -> tuple[bytes, bytes]:
        """Same as :meth:`kstats.loader.syscall.Map.batch`."""
        return b"".join(self.counts), array("Q", self.counts.values()).tobytes()

    def pop(self, key: bytes) -> bytes:
        """Same as :meth:`kstats.loader.syscall.Map.pop`."""
        return struct.pack("=Q", self.counts.pop(key))


class Returned:
    """Shares that note what is given back."""

    added = True

    def __init__(self) -> None:
        self.entries: Counter[int] = Counter()

    def has_added(self, hash_: Shared) -> bool:
        """Same as :meth:`kstats.collector.shares.Shares.has_added`."""
        assert hash_ is Shared.THREADS
        return self.added

    def give_back(self, hash_: Shared, entries: Mapping[int, int]) -> None:
        """Same as :meth:`kstats.collector.shares.Shares.give_back`."""
        assert hash_ is Shared.THREADS
        self.entries.update(entries)


def key(thread: int, code: int = 1) -> bytes:
    """Return the key of an entry on CPU 0."""
    return bytes(ThreadKey(thread, code, 0))


def made(ended: set[int], returned: Returned | None = None) -> tuple[Hash, HashReader]:
    """Return a hash with entries of ended and other threads, and its reader."""
    hash_: Any = Hash()
    hash_.counts = {key(ME): 1, key(ME, 2): 2, key(HER): 3, key(HIM): 4}
    shares: Any = returned or Returned()
    return hash_, HashReader(hash_, Shared.THREADS, shares, ended.__contains__)


def test_a_counter_is_freed_by_a_reading_after_the_end_of_its_thread() -> None:
    hash_, reader = made({ME})
    full = dict(hash_.counts)
    assert reader.read() == full
    assert hash_.counts == full
    hash_.counts[key(ME)] = 9  # between the first reading and its end
    assert reader.read() == full | {key(ME): 9}
    assert hash_.counts == {key(HER): 3, key(HIM): 4}


def test_a_hash_to_which_nothing_was_added_is_not_read() -> None:
    """Reading takes the kernel a look at every bucket."""
    returned = Returned()
    returned.added = False
    _, reader = made(set(), returned)
    assert reader.read() == {}


def test_freed_entries_are_given_back_to_their_process() -> None:
    returned = Returned()
    _, reader = made({ME}, returned)
    reader.read()
    assert not returned.entries
    reader.read()
    assert returned.entries == {7: 2}


def test_totals_never_shrink_and_are_later_forgotten() -> None:
    hash_, reader = made({ME})
    full = dict(hash_.counts)
    for _ in range(3):
        assert reader.read() == full
    assert reader.read() == {key(HER): 3, key(HIM): 4}


def test_a_reused_thread_number_continues_from_its_total() -> None:
    ended = {ME}
    hash_, reader = made(ended)
    full = dict(hash_.counts)
    for _ in range(2):
        reader.read()
    ended.clear()
    hash_.counts[key(ME)] = 5
    for _ in range(3):
        totals = reader.read()
        assert totals[key(ME)] == full[key(ME)] + 5


def test_a_reused_thread_number_keeps_its_entry() -> None:
    ended = {ME}
    hash_, reader = made(ended)
    reader.read()
    ended.clear()
    reader.read()
    assert len(hash_.counts) == 4


def test_a_hash_that_is_almost_empty_is_left_alone() -> None:
    hash_, reader = made({ME, HER})
    del hash_.counts[key(HIM)]
    for _ in range(3):
        reader.read()
    assert len(hash_.counts) == 3


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Count only this process, which then may use all of 64 shared entries."""
    machine = target()
    wanted = ThreadFilter(pids=frozenset({os.getpid()}))
    with Collector(machine, (ExitsByThread.sized(wanted, 64),)) as made:
        yield made


@pytest.mark.root
def test_threads_come_and_go_without_filling_the_hash(collector: Collector) -> None:
    """In the kernel: ten times as many threads as entries, each counted exactly."""
    on_exit = collector.loaded.programs["on_exit"]

    def work() -> None:
        for code in range(8):
            kernel.fire_here(on_exit, 0, code)

    for _ in range(80):
        (thread,) = in_threads(1, work)
        exits = exits_of(collector)
        assert {code: at.total() for code, at in exits.items()} == dict.fromkeys(range(8), 1)
        assert {who for at in exits.values() for _, who in at} == {thread}
    kernel.fire_here(on_exit, 0, 1)
    ((place, n),) = exits_of(collector)[1].items()
    assert (place[1], n) == (me(), 1)
