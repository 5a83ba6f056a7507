"""Format figures and times for the page."""

from __future__ import annotations

from datetime import UTC, datetime

DASH = "\u2013"
"""Shown instead of a missing figure."""

_LARGE = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def rate(value: float) -> str:
    """Format a rate with three digits: ``0.123``, ``45.6``, ``7,890``, ``12.3k``."""
    for least, letter in _LARGE:
        if value >= least:
            scaled = value / (1e3 if letter == "k" else least)
            return f"{scaled:.3g}{letter}" if scaled < 1e3 else f"{scaled:,.0f}{letter}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def number(value: float) -> str:
    """Format a number, without decimals if it is whole."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def duration(seconds: float) -> str:
    """Format seconds: ``0.5 s``, ``90 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        rest = round(seconds - 60 * int(seconds // 60))
        return f"{int(seconds // 60)} min {rest} s" if rest and seconds < 600 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def moment(seconds: float) -> str:
    """Format seconds since the epoch as date and time in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def precise(seconds: float) -> str:
    """Format seconds since the epoch as time in UTC with microseconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S.%f}"


def span(begin: float | None, end: float | None) -> str:
    """Format the first and the last time; a dash if there is neither."""
    return DASH if begin is None or end is None else f"{moment(begin)} to {moment(end)}"
