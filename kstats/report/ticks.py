"""Where an axis has ticks, and what they say."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

_DAY = 86400
_HOUR = 3600
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 2160, 8760)),
)
"""Seconds between ticks of time: round in clocks and calendars."""


_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
"""What the numbers of an axis are multiples of, if it ends at four of them or more."""


class Tick(NamedTuple):
    """A tick at a part of the axis, from 0 to 1, and its label."""

    at: float
    label: str


def times(begin: float, end: float, most: int = 5) -> list[Tick]:
    """Return ticks of a time axis in UTC; every label is a complete time or date."""
    step = next((step for step in _STEPS if (end - begin) / step <= most), (end - begin) / most)
    if end <= begin:
        return [Tick(0.0, _time(begin, 1))]
    first = math.ceil(begin / step)
    count = int((end - begin) / step) + 1
    marks = ((first + i) * step for i in range(count))
    return [Tick((t - begin) / (end - begin), _time(t, step)) for t in marks if t <= end]


def _time(seconds: float, step: float) -> str:
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    if step >= _DAY or (step >= 60 and seconds % _DAY == 0):
        return f"{moment:%b} {moment.day}"
    if step < 1:
        return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"
    return f"{moment:%H:%M}" if step >= 60 else f"{moment:%H:%M:%S}"


def numbers(highest: float, most: int = 4) -> tuple[float, list[Tick]]:
    """Return a round end of an axis that begins at 0, and its ticks from the bottom."""
    if not highest > 0:
        return 1.0, [Tick(0.0, "0")]
    rough = highest / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= rough * 0.999)
    count = math.ceil(highest / step * 0.999)
    end = step * count
    size, letter = next(unit for unit in _UNITS if end >= 4 * unit[0] or not unit[1])
    return end, [
        Tick(i / count, f"{step * i / size:.6g}{letter if i else ''}") for i in range(count + 1)
    ]


def decades(low: float, high: float) -> list[Tick]:
    """Return ticks of a logarithmic axis of nanoseconds at 1, 10, 100 …, from the bottom."""
    begin, end = math.log10(low), math.log10(high)
    return [Tick((p - begin) / (end - begin), text) for p, text in powers(low, high)]


def powers(low: float, high: float, most: int = 5) -> list[tuple[int, str]]:
    """Return powers of ten between durations in nanoseconds, and their texts."""
    found = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [(p, _power_of_ten(p)) for p in found[:: max(1, -(-len(found) // most))]]


def _power_of_ten(power: int) -> str:
    unit = min(power // 3, 3)
    return f"{10 ** (power - 3 * unit)}{('ns', 'us', 'ms', 's')[unit]}"
