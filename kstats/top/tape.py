"""A recording that can be wound: the same screens over samples of the past."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from kstats.errors import KstatsError
from kstats.model import Sample
from kstats.top.state import TREND

KEPT_PLACES = 200_000
"""Counts in the samples that are kept to step back quickly; about 40 MiB."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BACK = r"-?\s*(\d{1,9})\s*([smhd])(\s+ago)?"
_AHEAD = r"\+\s*(\d{1,9})\s*([smhd])"
_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2}))?"


class Tape:
    """The samples of a recording, one of which is the current one.

    ``samples`` is called for the samples from the start, again whenever the tape is wound back
    beyond those that are kept.
    """

    def __init__(self, samples: Callable[[], Iterator[Sample]]) -> None:
        self._open = samples
        self._rest: Iterator[Sample] = iter(())
        self._kept: deque[Sample] = deque()
        self._first = 0
        self._places = 0
        self.index = -1
        self.at_end = False
        self._restart()

    def step(self, count: int) -> list[Sample]:
        """Move by ``count`` samples; return the new ones in order, one if it moved back."""
        if count < 0:
            return self._to(max(self.index + count, 0))
        found = []
        for _ in range(count):
            sample = self._next()
            if sample is None:
                break
            found.append(sample)
        return found

    def jump(self, text: str) -> list[Sample]:
        """Go to a time, written as people do; return the samples that lead there.

        Raises:
            KstatsError: The text is not a time.
        """
        if text == "start":
            return self._to(0)
        if text == "end":
            return self._forward(None)
        moment = _moment(text, self.current().time)
        if moment < self.current().time:
            self._back_before(moment)
        return self._forward(moment)

    def current(self) -> Sample:
        """Return the current sample."""
        return self._kept[self.index - self._first]

    def window(self) -> list[Sample]:
        """Return the current sample after those before it that a trend shows."""
        at = self.index - self._first
        return [self._kept[i] for i in range(max(at + 1 - TREND, 0), at + 1)]

    def _restart(self) -> None:
        self._rest = self._open()
        self._kept.clear()
        self._first = self._places = 0
        self.index = -1
        self.at_end = False

    def _next(self) -> Sample | None:
        """Move one sample forward and return it; None at the end."""
        if self.index + 1 - self._first < len(self._kept):
            self.index += 1
            return self.current()
        sample = next(self._rest, None)
        if sample is None:
            self.at_end = True
            return None
        self._keep(sample)
        self.index += 1
        return sample

    def _keep(self, sample: Sample) -> None:
        self._kept.append(sample)
        self._places += _size(sample)
        while self._places > KEPT_PLACES and len(self._kept) > TREND:
            self._places -= _size(self._kept.popleft())
            self._first += 1

    def _to(self, index: int) -> list[Sample]:
        """Go back to the sample of that number."""
        self.at_end = False
        if index < self._first:
            self._restart()
            while self.index < index and self._next():
                pass
        self.index = min(index, self._first + len(self._kept) - 1)
        return self.window()

    def _back_before(self, moment: float) -> None:
        if self._kept[0].time > moment and self._first:
            self._restart()
            self._next()
        else:
            self.index = self._first
        self.at_end = False

    def _forward(self, moment: float | None) -> list[Sample]:
        """Go on to the first sample that ends at ``moment`` or later, or to the last one."""
        while moment is None or self.current().time < moment:
            if self._next() is None:
                break
        return self.window()


def _size(sample: Sample) -> int:
    return 1 + sum(map(len, sample.exits.values()))


def _moment(text: str, now: float) -> float:
    """Return the moment that people mean by ``12:03``, ``3m ago``, ``+30s`` or an ISO time."""
    if found := re.fullmatch(_AHEAD, text):
        return now + int(found[1]) * _UNITS[found[2]]
    if found := re.fullmatch(_BACK, text):
        return now - int(found[1]) * _UNITS[found[2]]
    if found := re.fullmatch(_CLOCK, text):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        if hours < 24 and minutes < 60 and seconds < 60:
            return _nearest(now, hours * 3600 + minutes * 60 + seconds)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise KstatsError(f"invalid time {text!r}: write 12:03:20, 3m ago or +30s") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _nearest(now: float, of_day: int) -> float:
    """Return the moment with this time of the day (UTC) that is nearest to ``now``."""
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight + timedelta(days=n) for n in (-1, 0, 1)]
    return min((day.timestamp() + of_day for day in days), key=lambda moment: abs(moment - now))
