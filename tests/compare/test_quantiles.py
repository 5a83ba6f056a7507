"""Quantiles: of few values and of many, with the zeros that nobody added."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.compare.quantiles import DIGITS, Quantiles


def spread(*values: float) -> Quantiles:
    """A spread of the values; zeros are not added."""
    found = Quantiles()
    for value in values:
        if value:
            found.add(value)
    return found


@pytest.mark.parametrize(
    ("share", "value"), [(0.01, 1), (0.1, 1), (0.11, 2), (0.5, 5), (0.95, 10), (1.0, 10)]
)
def test_a_quantile_is_the_nearest_rank(share: float, value: float) -> None:
    assert spread(*range(1, 11)).quantile(share, 10) == value


def test_zeros_count_though_they_were_not_added() -> None:
    once = spread(7)
    assert [once.quantile(share, 4) for share in (0.5, 0.75, 0.76, 1.0)] == [0, 0, 7, 7]
    assert spread().quantile(0.5, 3) == 0


def test_three_digits_are_kept() -> None:
    assert spread(1234.5).quantile(1, 1) == 1230
    assert spread(0.0123456).quantile(1, 1) == 0.0123


@given(st.lists(st.integers(0, 999), min_size=1, max_size=60))
def test_the_median_is_that_of_the_standard_library(values: list[int]) -> None:
    assert spread(*values).quantile(0.5, len(values)) == statistics.median_low(values)


@given(
    st.lists(st.floats(0.001, 1e12), min_size=1, max_size=60), st.floats(0.001, 1, exclude_min=True)
)
def test_a_quantile_is_off_by_half_a_unit_of_the_last_digit_at_most(
    values: list[float], share: float
) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    found = spread(*values).quantile(share, len(values))
    assert found == pytest.approx(exact, rel=0.5 * 10 ** (1 - DIGITS) + 1e-9)


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    many = spread(*(1000 + i / 100 for i in range(20_000)))
    assert len(many._counts) <= 21
