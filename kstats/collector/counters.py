"""Counters by thread and CPU in columns, as maps have them, and grouped by code."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import itemgetter, sub
from typing import NamedTuple, TypeAlias

import attrs

from kstats.counted import Counted
from kstats.model import Place

Key: TypeAlias = tuple[int, int, int]
"""(thread, code, cpu)."""

Totals: TypeAlias = Mapping[int, Counted]
"""Running totals by code."""


class Counters(NamedTuple):
    """Counters in any order. Unused ones have the thread 0; a key may come twice."""

    threads: array[int]
    codes: array[int]
    cpus: array[int]
    counts: array[int]

    @classmethod
    def of(cls, counts: Mapping[Key, int]) -> Counters:
        """Return the columns of counts by key."""
        keys = zip(*counts, strict=True) if counts else ((), (), ())
        return cls(*(array("Q", column) for column in (*keys, counts.values())))

    def and_(self, more: Counters) -> Counters:
        """Return these counters and those."""
        return Counters(*(one + other for one, other in zip(self, more, strict=True)))


@attrs.frozen
class _Group:
    """The counters of a code.

    Attributes:
        pick: Returns the values of the code in a column.
        places: What each counts; if a place comes twice, its counters are added up.
    """

    pick: Callable[[array[int]], Sequence[int]]
    places: tuple[Place, ...]
    has_twins: bool

    def totals(self, counts: array[int]) -> Counted:
        """Return the totals of the code."""
        found = self.pick(counts)
        if not self.has_twins:
            return Counted(self.places, found)
        sums: defaultdict[Place, int] = defaultdict(int)
        for place, n in zip(self.places, found, strict=True):
            sums[place] += n
        return Counted(tuple(sums), [*sums.values()])


class Grouping:
    """Groups counters by code. What is found out about their keys is kept as long as they stay."""

    def __init__(self) -> None:
        self._keys: tuple[array[int], ...] = ()
        self._groups: dict[int, _Group] = {}

    def totals(self, found: Counters) -> Totals:
        """Return the totals of a reading."""
        *keys, counts = found
        if tuple(keys) != self._keys:
            self._keys, self._groups = tuple(keys), dict(_grouped(found))
        return {code: group.totals(counts) for code, group in self._groups.items()}


def _grouped(found: Counters) -> Mapping[int, _Group]:
    threads, codes, cpus, _ = found
    # By place first: then codes that were counted at the same places have them in the same order,
    # and share them.
    by_place: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for i in compress(range(len(threads)), threads):
        by_place[cpus[i], threads[i]].append(i)
    indices: defaultdict[int, list[int]] = defaultdict(list)
    places: defaultdict[int, list[Place]] = defaultdict(list)
    for at, of_place in by_place.items():
        place = Place(*at)
        for i in of_place:
            code = codes[i]
            indices[code].append(i)
            places[code].append(place)
    shared: dict[tuple[Place, ...], tuple[Place, ...]] = {}
    return {code: _group(indices[code], tuple(places[code]), shared) for code in indices}


def _group(
    indices: Sequence[int],
    places: tuple[Place, ...],
    shared: dict[tuple[Place, ...], tuple[Place, ...]],
) -> _Group:
    places = shared.setdefault(places, places)
    twins = len({*map(id, places)}) < len(places)
    if len(indices) == 1:
        (only,) = indices
        return _Group(lambda column: (column[only],), places, twins)
    return _Group(itemgetter(*indices), places, twins)


def grown(before: Counted | None, now: Counted) -> list[int]:
    """Return by how much the total of each place of ``now`` grew."""
    if before is None:
        return [*now.counts]
    if before.places is now.places:
        return [*map(sub, now.counts, before.counts)]
    old = dict(zip(before.places, before.counts, strict=True))
    return [n - old.get(place, 0) for place, n in zip(now.places, now.counts, strict=True)]
