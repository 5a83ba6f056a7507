"""Durations are written with three digits and a unit, and read back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.durations import duration, parse


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0ns"),
        (812, "812ns"),
        (999.4, "999ns"),
        (999.5, "1.00us"),
        (4350, "4.35us"),
        (9994, "9.99us"),
        (9996, "10.0us"),
        (99_960, "100us"),
        (999_600, "1.00ms"),
        (120_000_000, "120ms"),
        (12_000_000_000, "12.0s"),
        (4_321_000_000_000, "4321s"),
    ],
)
def test_durations_have_three_digits(ns: float, text: str) -> None:
    assert duration(ns) == text


@given(st.integers(0, 999 * 10**9))
def test_the_rounding_error_is_at_most_half_of_the_last_digit(ns: int) -> None:
    text = duration(ns)
    assert abs((parse(text) or 0) - ns) <= 0.005 * ns
    assert len(re.sub(r"\D", "", text)) <= 3


@pytest.mark.parametrize(
    ("text", "ns"),
    [("500us", 500_000), ("1.5ms", 1_500_000), ("2s", 2 * 10**9), ("7ns", 7), ("0.5us", 500)],
)
def test_valid_durations_are_parsed(text: str, ns: int) -> None:
    assert parse(text) == ns


@pytest.mark.parametrize(
    "text", ["", "500", "us", "-1us", "1 us", "0us", "1e3us", "1.ms", ".5ms", "1m", "\u0661us"]
)
def test_an_invalid_duration_is_none(text: str) -> None:
    assert parse(text) is None
