"""The hottest details of a VM: a bounded number of series that are all counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

WINDOW = 60.0
"""Seconds after which other details may get the series of those that became rare."""

_CLEARLY = 2


class Details:
    """Counts of details: ``top`` of them one by one, the rest in a single sum.

    A count is added either to its detail or to the sum and never moves, so each of them only
    grows. A detail that becomes rare loses its series to one that was at least twice as frequent
    in the last :data:`WINDOW`; if it gets one again, it starts from zero like any new series.

    Attributes:
        shown: The counts of the details that have a series, by their numbers.
        others: The sum of the counts of all others.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self.shown: dict[int, int] = {}
        self.others = 0
        self._window: Counter[int] = Counter()
        self._since: float | None = None

    def add(self, counts: Mapping[int, int], now: float) -> None:
        """Add the counts of a sample that ended ``now``, in seconds of the monotonic clock."""
        if self._since is None:
            self._since = now
        for detail, n in sorted(counts.items(), key=lambda item: -item[1]):
            if detail in self.shown or len(self.shown) < self._top:
                self.shown[detail] = self.shown.get(detail, 0) + n
            else:
                self.others += n
        self._window.update(counts)
        if now - self._since >= WINDOW:
            self._replace()
            self._since = now
            self._window.clear()

    def _replace(self) -> None:
        """Give the series of rare details to frequent ones."""
        hidden = [(n, detail) for detail, n in self._window.items() if detail not in self.shown]
        rare = sorted((self._window[detail], detail) for detail in self.shown)
        for (few, old), (many, new) in zip(rare, sorted(hidden, reverse=True), strict=False):
            if many < _CLEARLY * few or many == 0:
                return
            del self.shown[old]
            self.shown[new] = 0
