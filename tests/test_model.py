"""The timestamps of samples have the format of logs, and merging samples takes linear time."""

from __future__ import annotations

import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.meaning import meanings
from kstats.model import Place, Sample, SlowExit
from kstats.recording import merged
from tests.samples import sample


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.25, "1970-01-01T00:00:00.250Z"),
        (1_769_860_800.25, "2026-01-31T12:00:00.250Z"),
        (1_709_251_199.9996, "2024-02-29T23:59:59.999Z"),
    ],
)
def test_a_timestamp_is_utc_with_milliseconds(moment: float, text: str) -> None:
    assert attrs.evolve(sample(), time=moment).timestamp == text


def test_an_unknown_time_has_no_timestamp() -> None:
    assert attrs.evolve(sample(), time=0.0).timestamp == ""


@given(st.integers(1, 4_000_000_000))
def test_timestamps_are_those_of_the_c_library(moment: int) -> None:
    expected = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
    assert attrs.evolve(sample(), time=float(moment)).timestamp == expected


def test_slow_exits_are_merged_in_order_without_copying_those_before() -> None:
    """To add to a tuple would copy it: a recording's slow exits would take quadratic time."""
    first, second, third = ((SlowExit(float(n), ("vmx", 12), Place(0, 0), 1),) for n in range(3))
    merge = meanings(Sample)["slow"].merge
    total = merge(first, second)
    assert merge(total, third) is total
    parts = [attrs.evolve(sample(), slow=slow) for slow in (first, second, third)]
    (whole,) = merged(parts, 3.0)
    assert whole.slow == (*first, *second, *third)
    assert parts[0].slow == first
