"""Format and parse durations: three digits and a unit."""

from __future__ import annotations

import re

_SCALES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_DIGITS = 3
_TEXT = r"(\d{1,12}(?:\.\d{1,9})?)(ns|us|ms|s)"


def duration(ns: float) -> str:
    """Return nanoseconds with three digits: ``812ns``, ``4.35us``, ``12.0s``, ``4321s``."""
    for unit, scale in _SCALES.items():
        text = _three_digits(ns / scale, whole=unit == "ns")
        if float(text) < 10**_DIGITS or unit == "s":
            return text + unit
    raise AssertionError(ns)


def _three_digits(value: float, *, whole: bool) -> str:
    if whole:
        return f"{value:.0f}"
    for places in (2, 1):
        text = f"{value:.{places}f}"
        if float(text) < 10 ** (_DIGITS - places):
            return text
    return f"{value:.0f}"


def parse(text: str) -> int | None:
    """Return the nanoseconds of ``500us``, ``1.5ms`` …; None if it is not a duration above 0."""
    match = re.fullmatch(_TEXT, text, re.ASCII)
    ns = round(float(match[1]) * _SCALES[match[2]]) if match else 0
    return ns or None
