"""Histograms of durations; the width of a bucket is at most an eighth of its values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Self

import attrs

SUB_BITS = 3
SUB_BUCKETS = 1 << SUB_BITS
"""Buckets per power of two. Each value below this number has a bucket of its own."""

BUCKETS = (64 - SUB_BITS + 1) * SUB_BUCKETS
"""Buckets that 64-bit values need: all valid bucket numbers are below this number."""


def bucket_of(value: int) -> int:
    """Return the number of the bucket that contains ``value``; it grows with the value."""
    if value < SUB_BUCKETS:
        return value
    shift = value.bit_length() - 1 - SUB_BITS
    return (shift << SUB_BITS) + (value >> shift)


def bounds(bucket: int) -> tuple[int, int]:
    """Return the smallest and the largest value of a bucket."""
    shift = max((bucket >> SUB_BITS) - 1, 0)
    low = (bucket - (shift << SUB_BITS)) << shift
    return low, low + (1 << shift) - 1


@attrs.frozen
class Histogram:
    """A histogram of durations in nanoseconds.

    ``buckets`` has the count of each bucket (:func:`bucket_of`) that is not empty, so a value read
    from a histogram is off by at most an eighth (12.5 %). ``total`` is exact; so are ``minimum``
    and ``maximum``, unless the source of the histogram documents otherwise. All three are 0 without
    values. Histograms can be added: over CPUs, samples and hosts.
    """

    buckets: Mapping[int, int] = attrs.field(factory=dict)
    total: int = 0
    minimum: int = 0
    maximum: int = 0

    @classmethod
    def of(cls, values: Iterable[int]) -> Self:
        """Return the histogram of durations in nanoseconds; none may be negative."""
        known = list(values)
        buckets = Counter(map(bucket_of, known))
        return cls(buckets, sum(known), min(known, default=0), max(known, default=0))

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.buckets.values())

    @property
    def mean(self) -> float | None:
        """The arithmetic mean, exact; None without values."""
        count = self.count
        return self.total / count if count else None

    def percentile(self, percent: float) -> int | None:
        """Return the value that ``percent`` per cent of all values do not exceed (nearest rank).

        The result is the middle of the value's bucket: off by at most 12.5 %. None without values.
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


@attrs.frozen
class Summary(Histogram):
    """Durations of which only the number, the sum and the extremes are known.

    It has no buckets, so percentiles are unknown, and a recording cannot hold it.
    """

    values: int = 0

    @property
    def count(self) -> int:
        """The number of values."""
        return self.values

    def percentile(self, percent: float) -> int | None:  # noqa: ARG002 - of every histogram
        """Return None: there is no distribution."""
        return None

    def __add__(self, other: Histogram) -> Histogram:
        if not other.count:
            return self
        return Summary(
            {},
            self.total + other.total,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.values + other.count,
        )
