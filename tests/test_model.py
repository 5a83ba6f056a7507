"""The timestamps of samples have the format of logs."""

from __future__ import annotations

import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import sample


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800.25, "2026-01-31T12:00:00.250Z"),
        (1_709_251_199.9996, "2024-02-29T23:59:59.999Z"),
    ],
)
def test_a_timestamp_is_utc_with_milliseconds(moment: float, text: str) -> None:
    assert attrs.evolve(sample(), time=moment).timestamp == text


@given(st.integers(0, 4_000_000_000))
def test_timestamps_are_those_of_the_c_library(moment: int) -> None:
    expected = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
    assert attrs.evolve(sample(), time=float(moment)).timestamp == expected
