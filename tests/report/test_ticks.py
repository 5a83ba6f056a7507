"""Axes: every label can be read on its own, and ticks are where their labels say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.report.findings import step
from kstats.report.ticks import decades, numbers, times

NOON = datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC)


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (
            timedelta(seconds=1),
            ["12:00:00.4", "12:00:00.6", "12:00:00.8", "12:00:01.0", "12:00:01.2"],
        ),
        (timedelta(seconds=40), ["12:00:10", "12:00:20", "12:00:30", "12:00:40"]),
        (timedelta(minutes=10), ["12:02", "12:04", "12:06", "12:08", "12:10"]),
        (timedelta(hours=20), ["18:00", "Feb 1", "06:00"]),
        (timedelta(days=3), ["Feb 1", "Feb 2", "Feb 3"]),
    ],
)
def test_labels_of_times_are_complete(span: timedelta, labels: list[str]) -> None:
    begin = NOON.timestamp()
    found = times(begin, (NOON + span).timestamp())
    assert [tick.label for tick in found] == labels
    assert all(0 <= tick.at <= 1 for tick in found)


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0, ["0"]),
        (7, ["0", "2", "4", "6", "8"]),
        (3500, ["0", "1k", "2k", "3k", "4k"]),
        (19_000, ["0", "5k", "10k", "15k", "20k"]),
        (1.9e9, ["0", "500M", "1000M", "1500M", "2000M"]),
    ],
)
def test_labels_of_numbers(highest: float, labels: list[str]) -> None:
    end, ticks = numbers(highest)
    assert [tick.label for tick in ticks] == labels
    assert end >= highest


@given(st.floats(1e-3, 1e18))
def test_every_number_fits_its_axis(highest: float) -> None:
    end, ticks = numbers(highest)
    assert highest * 0.99 <= end <= 2 * highest
    assert 2 <= len(ticks) <= 6


def test_decades_of_durations() -> None:
    ticks = decades(500, 2e9)
    assert [tick.label for tick in ticks] == ["1us", "100us", "10ms", "1s"]
    assert ticks == sorted(ticks)


def test_a_change_of_level_is_found_where_it_is() -> None:
    found = step([10, 11, 9, 10, 30, 31, 29, 30, 31])
    assert found
    assert list(found) == pytest.approx([4, 10, 30.2])


@pytest.mark.parametrize(
    "values", [[], [1, 50], [5] * 20, [1, 9] * 10, [3, 3, 3, 90, 3, 3, 3, 3, 3, 3]]
)
def test_noise_and_single_spikes_are_no_change(values: list[float]) -> None:
    assert step(values) is None
