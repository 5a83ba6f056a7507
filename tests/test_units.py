"""Counts and rates as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.units import figure


@pytest.mark.parametrize(
    ("amount", "width", "text"),
    [
        (0, 4, "0"),
        (9999, 4, "9999"),
        (10000, 4, "10K"),
        (10000, 5, "10000"),
        (12345, 4, "12K"),
        (123456, 4, "123K"),
        (123456, 5, "123K"),
        (123456, 6, "123456"),
        (999499, 4, "999K"),
        (999500, 4, "1.0M"),
        (999500, 5, "1.00M"),
        (1234567, 4, "1.2M"),
        (1234567, 5, "1.23M"),
        (12345678, 5, "12.3M"),
        (12345678, 7, "12.3M"),
        (10**9, 8, "1.00G"),
        (10**12, 4, "1.0T"),
        ((1 << 64) - 1, 4, "18E"),
        ((1 << 64) - 1, 20, "18446744073709551615"),
        (0.0, 4, "0.0"),
        (1234.5, 8, "1234"),
        (99.94, 4, "99.9"),
        (123.4, 4, "123"),
        (999.96, 5, "1000"),
        (12345.6, 5, "12346"),
        (12345.6, 4, "12K"),
        (1234567.8, 5, "1.23M"),
    ],
)
def test_figures(amount: float, width: int, text: str) -> None:
    assert figure(amount, width) == text


@given(st.integers(0, 1 << 66) | st.floats(0, 1e20), st.integers(4, 12))
def test_a_figure_fits_and_is_close(amount: float, width: int) -> None:
    text = figure(amount, width)
    assert len(text) <= width
    number = text.rstrip("KMGTPE")
    scale = 1000 ** ("KMGTPE".index(text[-1]) + 1 if number != text else 0)
    assert float(number) * scale == pytest.approx(amount, rel=0.05, abs=0.5)
