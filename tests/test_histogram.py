"""Histograms, compared with the values that they were made of."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kstats.histogram import SUB_BUCKETS, Histogram, bounds, bucket_of

ERROR = 0.125  # what docs/latency.md promises

durations = st.one_of(st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 2**63 - 1))
some = st.lists(durations, min_size=1)


@given(durations)
def test_a_value_is_within_the_bounds_of_its_bucket(value: int) -> None:
    low, high = bounds(bucket_of(value))
    assert low <= value <= high


def test_buckets_follow_each_other_without_gap_or_overlap() -> None:
    edges = [bounds(bucket) for bucket in range(60 * SUB_BUCKETS)]
    assert edges[0][0] == 0
    assert all(high + 1 == low for (_, high), (low, _) in pairwise(edges))


@given(durations)
def test_a_bucket_is_no_wider_than_the_error_allows(value: int) -> None:
    low, high = bounds(bucket_of(value))
    assert high - low <= ERROR * value


@given(some)
def test_count_total_and_extremes_are_exact(values: list[int]) -> None:
    histogram = Histogram.of(values)
    assert (histogram.count, histogram.total) == (len(values), sum(values))
    assert (histogram.minimum, histogram.maximum) == (min(values), max(values))
    assert histogram.mean == sum(values) / len(values)


@given(some, st.floats(0, 100))
def test_a_percentile_is_the_value_of_that_rank_within_the_error(
    values: list[int], percent: float
) -> None:
    exact = sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]
    read = Histogram.of(values).percentile(percent)
    assert read is not None
    assert abs(read - exact) <= ERROR * exact
    assert min(values) <= read <= max(values)


@given(some)
def test_percentiles_are_ascending(values: list[int]) -> None:
    histogram = Histogram.of(values)
    read = [histogram.percentile(percent) or 0 for percent in (0, 50, 90, 99, 100)]
    assert read == sorted(read)


@given(st.lists(durations), st.lists(durations), st.lists(durations))
def test_a_sum_is_the_histogram_of_all_values_in_any_order(
    a: list[int], b: list[int], c: list[int]
) -> None:
    summed = Histogram.of(a) + Histogram.of(b) + Histogram.of(c)
    assert summed == Histogram.of([*a, *b, *c])
    assert summed == Histogram.of(a) + (Histogram.of(c) + Histogram.of(b))


def test_a_histogram_without_values() -> None:
    nothing = Histogram()
    assert (nothing.count, nothing.total, nothing.mean, nothing.percentile(50)) == (
        *(0, 0),
        *(None, None),
    )
