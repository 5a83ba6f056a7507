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
    parts: _Sum | None = None
    for sample in samples:
        if parts is not None and parts.detail != sample.detail:
            yield parts.sample()
            parts = None
        if parts is None:
            parts = _Sum(sample)
        else:
            parts.add(sample)
        if parts.elapsed >= interval - sample.elapsed / 2:
            yield parts.sample()
            parts = None
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
