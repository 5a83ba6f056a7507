"""Quantiles of many values, in memory that does not grow with their number."""

from __future__ import annotations

import math
from collections import Counter

DIGITS = 3
"""Significant digits that a value keeps: what is shown, and at most half a per cent off."""

ENOUGH = 20
"""Values that the 5th and the 95th percentile need: with fewer, they are the extremes."""


class Quantiles:
    """Values that are not negative, rounded to :data:`DIGITS` digits. Zeros need not be added."""

    def __init__(self) -> None:
        """Start without values."""
        self._counts: Counter[float] = Counter()

    def add(self, value: float) -> None:
        """Add a value."""
        self._counts[float(f"{value:.{DIGITS}g}")] += 1

    def quantile(self, share: float, of: int) -> float:
        """Return the least value that ``share`` (in (0, 1]) of ``of`` values do not exceed.

        ``of`` includes the zeros that were not added. The result is one of the values (nearest
        rank); it is not interpolated.
        """
        seen = of - sum(self._counts.values())
        rank = math.ceil(share * of)
        if rank <= seen:
            return 0.0
        for value, times in sorted(self._counts.items()):
            seen += times
            if seen >= rank:
                return value
        raise ValueError(f"{share} of {of} values: only {seen} were added")
