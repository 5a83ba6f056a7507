"""Merge consecutive samples into longer intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kstats.meaning import copied, meanings
from kstats.model import Sample


def merged(samples: Iterable[Sample], interval: float) -> Iterator[Sample]:
    """Yield samples of about ``interval`` seconds each; longer ones stay as they are.

    The last one covers what is left. Samples that count different details are not merged.
    """
    merger = Merger(interval)
    for sample in samples:
        yield from merger.add(sample)
    yield from merger.rest()


class Merger:
    """Merges samples that come one at a time, as :func:`merged` does."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._parts: _Sum | None = None

    def add(self, sample: Sample) -> Iterator[Sample]:
        """Add the next sample; yield the merged samples that are complete."""
        if self._parts is not None and self._parts.detail != sample.detail:
            yield from self.rest()
        if self._parts is None:
            self._parts = _Sum(sample)
        else:
            self._parts.add(sample)
        if self._parts.elapsed >= self._interval - sample.elapsed / 2:
            yield from self.rest()

    def rest(self) -> Iterator[Sample]:
        """Yield what was added since the last complete sample, if anything."""
        parts, self._parts = self._parts, None
        if parts is not None:
            yield parts.sample()


class _Sum:
    """Consecutive samples of one host, merged as their fields declare."""

    def __init__(self, first: Sample) -> None:
        self._first = first
        self._values: dict[str, Any] = {}
        self.elapsed = first.elapsed
        self.detail = first.detail

    def add(self, sample: Sample) -> None:
        """Merge the next sample."""
        declared = meanings(Sample).items()
        if not self._values:
            self._values = {name: copied(getattr(self._first, name)) for name, _ in declared}
        for name, means in declared:
            self._values[name] = means.merge(self._values[name], getattr(sample, name))
        self.elapsed = self._values["elapsed"]

    def sample(self) -> Sample:
        """Return the merged sample; a single sample as it is."""
        return Sample(**self._values) if self._values else self._first
