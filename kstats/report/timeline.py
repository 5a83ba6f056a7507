"""Exits over time, by CPU and column, in memory and detail that do not grow with the recording.

Time is cut into bins, CPUs into bands. When a recording outgrows them, neighbours are joined:
means stay means, and a peak is kept as it was, however long the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from kstats import arch as arches
from kstats.arch.base import OTHER, Column
from kstats.cpulist import MOST_CPUS
from kstats.errors import UnknownNameError
from kstats.model import Code, Sample

BINS, BANDS = 512, 256
"""At most; from half as many on, once neighbours were joined."""

_SHORTEST = 0.01

Floats = npt.NDArray[np.float64]


@attrs.frozen(eq=False)
class Peak:
    """The highest rate, exits per second: where it was (a band) and when (seconds of the epoch)."""

    rate: float
    band: int
    time: float


class Timeline:
    """Takes samples of one host in their order.

    Attributes:
        columns: The headings of the host's architecture, ``other`` last.
        width: Seconds of a bin.
        cpus_per_band: How many CPUs a band has.
        begin: The time at which the first bin begins, seconds since the epoch.
        exits: By bin and column.
        seconds: Of samples, by bin; 0 where there are none.
        highest: Exits per second of the busiest sample of each bin.
        peaks: By bin, band and column: exits per second of one CPU in one sample, at most.
    """

    def __init__(self, arch: str) -> None:
        """No samples so far; an architecture without a backend has but one column."""
        self.columns: Sequence[Column] = _columns(arch)
        self.width = 0.0
        self.cpus_per_band = 1
        self.begin = 0.0
        self.bins = self.bands = 0
        self._places: dict[Code, int] = {}
        columns = len(self.columns)
        self._exits = np.zeros((BINS, columns))
        self._seconds = np.zeros(BINS)
        self._highest = np.zeros(BINS)
        self._peaks = np.zeros((BINS, BANDS, columns + 1), np.float32)

    def add(self, sample: Sample) -> None:
        """Adds one sample; one of no time only counts."""
        if not self.width:
            self.width = max(sample.elapsed, _SHORTEST)
            self.begin = sample.time - sample.elapsed
        counts = self._counts(sample)
        at = self._bin(sample.time - sample.elapsed / 2)
        sums = counts.sum(axis=0)
        self._exits[at] += sums
        self._seconds[at] += sample.elapsed
        if sample.elapsed > 0:
            self._highest[at] = max(self._highest[at], sums.sum() / sample.elapsed)
            here = self._peaks[at]
            np.maximum(here[:, :-1], self._by_band(counts) / sample.elapsed, out=here[:, :-1])
            total = self._by_band(counts.sum(axis=1, keepdims=True)) / sample.elapsed
            np.maximum(here[:, -1:], total, out=here[:, -1:])

    @property
    def edges(self) -> Floats:
        """Where bins begin, and the last one ends: one more than there are bins."""
        return np.linspace(self.begin, self.begin + self.width * self.bins, self.bins + 1)

    @property
    def exits(self) -> Floats:  # noqa: D102 - see the class
        return self._exits[: self.bins]

    @property
    def seconds(self) -> Floats:  # noqa: D102
        return self._seconds[: self.bins]

    @property
    def highest(self) -> Floats:  # noqa: D102
        return self._highest[: self.bins]

    @property
    def rates(self) -> Floats:
        """Mean exits per second by bin and column; NaN in a bin without samples."""
        seconds = np.where(self.seconds > 0, self.seconds, np.nan)
        return np.divide(self.exits, seconds[:, None])

    def peaks(self, column: int | None) -> npt.NDArray[np.float32]:
        """By bin and band: exits per second of a column, or of all (None), at most."""
        place = len(self.columns) if column is None else column
        return self._peaks[: self.bins, : self.bands, place]

    def peak(self, column: int | None) -> Peak:
        """The highest of :meth:`peaks`; its time is the middle of the bin."""
        peaks = self.peaks(column)
        if not peaks.size:
            return Peak(0.0, 0, self.begin)
        at, band = np.unravel_index(int(peaks.argmax()), peaks.shape)
        return Peak(float(peaks.max()), int(band), self.begin + self.width * (int(at) + 0.5))

    def _counts(self, sample: Sample) -> Floats:
        """Exits by CPU and column, with room for all bands."""
        used = [cpu for places in sample.exits.values() for cpu, _ in places]
        self._make_room(max(*used, *sample.cpus, *sample.lost, 0, 0))
        cpus = BANDS * self.cpus_per_band
        counts = np.zeros((cpus, len(self.columns)))
        for code, places in sample.exits.items():
            column = [0] * cpus
            for (cpu, _), n in places.items():
                column[min(cpu, MOST_CPUS - 1)] += n
            counts[:, self._place(code)] += column
        for cpu, n in sample.lost.items():
            counts[min(cpu, MOST_CPUS - 1), -1] += n
        return counts

    def _place(self, code: Code) -> int:
        """The column that a code counts under."""
        place = self._places.get(code)
        if place is None:
            key = arches.reason(*code).column
            keys = [column.key for column in self.columns]
            place = keys.index(key) if key in keys else len(keys) - 1
            self._places[code] = place
        return place

    def _by_band(self, by_cpu: Floats) -> Floats:
        """Of each band, its CPU with most."""
        bands: Floats = by_cpu.reshape(BANDS, self.cpus_per_band, -1).max(axis=1)
        return bands

    def _make_room(self, cpu: int) -> None:
        cpu = min(cpu, MOST_CPUS - 1)
        while cpu >= BANDS * self.cpus_per_band:
            self._peaks = _halved(self._peaks, 1, np.maximum)
            self.cpus_per_band *= 2
            self.bands = (self.bands + 1) // 2
        self.bands = max(self.bands, cpu // self.cpus_per_band + 1)

    def _bin(self, moment: float) -> int:
        """The bin of a moment; a clock that was set back stays in the bin it was in."""
        while (at := int((moment - self.begin) / self.width)) >= BINS:
            self._exits = _halved(self._exits, 0, np.add)
            self._seconds = _halved(self._seconds, 0, np.add)
            self._highest = _halved(self._highest, 0, np.maximum)
            self._peaks = _halved(self._peaks, 0, np.maximum)
            self.width *= 2
            self.bins = (self.bins + 1) // 2
        at = max(at, self.bins - 1, 0)
        self.bins = at + 1
        return at


def _halved(values: npt.NDArray[Any], axis: int, join: np.ufunc) -> npt.NDArray[Any]:
    """Neighbours along an axis joined; as many zeros follow."""
    even, odd = (np.moveaxis(values, axis, 0)[first::2] for first in (0, 1))
    joined = join(even, odd)
    return np.moveaxis(np.concatenate([joined, np.zeros_like(joined)]), 0, axis)


def _columns(arch: str) -> Sequence[Column]:
    try:
        return arches.columns(arch)
    except UnknownNameError:  # of a backend that is not installed here
        return (Column(OTHER, OTHER),)
