"""Durations as a histogram whose buckets are at most an eighth of their own values wide."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Self

import attrs

SUB_BITS = 3
SUB_BUCKETS = 1 << SUB_BITS
"""Buckets to a power of two; values below so many have one each."""


def bucket_of(value: int) -> int:
    """The bucket that ``value`` falls into: the larger the value, the larger the number."""
    if value < SUB_BUCKETS:
        return value
    shift = value.bit_length() - 1 - SUB_BITS
    return (shift << SUB_BITS) + (value >> shift)


def bounds(bucket: int) -> tuple[int, int]:
    """The smallest and the largest value of a bucket."""
    shift = max((bucket >> SUB_BITS) - 1, 0)
    low = (bucket - (shift << SUB_BITS)) << shift
    return low, low + (1 << shift) - 1


@attrs.frozen
class Histogram:
    """How long things took, in nanoseconds.

    ``buckets`` has the count of each bucket (:func:`bucket_of`) that is not empty. So a value
    read off a histogram is off by at most an eighth of it (12.5 %). ``total`` is exact, and so
    are ``minimum`` and ``maximum`` unless whoever made the histogram says otherwise; without
    values all three are 0. Histograms add up: over CPUs, samples and hosts.
    """

    buckets: Mapping[int, int] = attrs.field(factory=dict)
    total: int = 0
    minimum: int = 0
    maximum: int = 0

    @classmethod
    def of(cls, values: Iterable[int]) -> Self:
        """The histogram of some durations in nanoseconds, none of them negative."""
        known = list(values)
        buckets = Counter(map(bucket_of, known))
        return cls(buckets, sum(known), min(known, default=0), max(known, default=0))

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.buckets.values())

    @property
    def mean(self) -> float | None:
        """The arithmetic mean, exact; None without values."""
        count = self.count
        return self.total / count if count else None

    def percentile(self, percent: float) -> int | None:
        """A value that ``percent`` per cent of all are not above, by nearest rank.

        It is the middle of the bucket that the value is in: off by at most 12.5 %. None without
        values.
        """
        left = max(math.ceil(self.count * percent / 100), 1)
        for bucket, count in sorted(self.buckets.items()):
            left -= count
            if left <= 0:
                return min(max(sum(bounds(bucket)) // 2, self.minimum), self.maximum)
        return None

    def __add__(self, other: Histogram) -> Histogram:
        if not self.buckets or not other.buckets:
            return self if self.buckets else other
        return Histogram(
            Counter(self.buckets) + Counter(other.buckets),
            self.total + other.total,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )
