"""Exits over time by CPU and column, in constant memory and resolution.

A bin has one sample, or several neighbouring samples in a long recording. A band has one or several
CPUs in the same way. Merging keeps the means and the peaks.
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

_SLACK = 0.5
"""Seconds by which samples may seem to overlap without the clock having been set back."""

Floats = npt.NDArray[np.float64]


@attrs.frozen(eq=False)
class Peak:
    """The highest rate in exits per second, its band, and its time in seconds since the epoch."""

    rate: float
    band: int
    time: float


class Timeline:
    """The timeline of one host; samples are added in their order.

    Attributes:
        columns: The headings of the host's architecture, ``other`` last.
        samples_per_bin: The number of samples in a bin.
        cpus_per_band: The number of CPUs in a band.
        set_back: Seconds by which the host's clock was set back in total. The timeline continues:
            later samples are moved by this time.
    """

    def __init__(self, arch: str) -> None:
        """Start without samples; an architecture without a backend has only one column."""
        self.columns: Sequence[Column] = _columns(arch)
        self.samples_per_bin = self.cpus_per_band = 1
        self.set_back = 0.0
        self.bins = self.bands = 0
        self._samples = 0
        self._places: dict[Code, int] = {}
        columns = len(self.columns)
        self._starts, self._ends = np.zeros(BINS), np.zeros(BINS)
        self._exits = np.zeros((BINS, columns))
        self._seconds = np.zeros(BINS)
        self._highest = np.zeros(BINS)
        self._peaks = np.zeros((BINS, BANDS, columns + 1), np.float32)

    def add(self, sample: Sample) -> None:
        """Add one sample; a sample of zero seconds adds only its counts."""
        counts = self._counts(sample)
        at = self._bin(sample)
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
    def starts(self) -> Floats:
        """The start of each bin in seconds since the epoch."""
        return self._starts[: self.bins]

    @property
    def ends(self) -> Floats:
        """The end of each bin; the next one starts later if samples are missing between them."""
        return self._ends[: self.bins]

    @property
    def exits(self) -> Floats:
        """Exits by bin and column."""
        return self._exits[: self.bins]

    @property
    def seconds(self) -> Floats:
        """The total length of the samples in each bin."""
        return self._seconds[: self.bins]

    @property
    def highest(self) -> Floats:
        """Exits per second of the busiest sample in each bin."""
        return self._highest[: self.bins]

    @property
    def rates(self) -> Floats:
        """Mean exits per second by bin and column; NaN in a bin of zero seconds."""
        seconds = np.where(self.seconds > 0, self.seconds, np.nan)
        return np.divide(self.exits, seconds[:, None])

    def peaks(self, column: int | None) -> npt.NDArray[np.float32]:
        """Return by bin and band the maximum exits per second of a CPU, of one column or all."""
        place = len(self.columns) if column is None else column
        return self._peaks[: self.bins, : self.bands, place]

    def peak(self, column: int | None) -> Peak:
        """Return the highest of :meth:`peaks`; its time is the middle of the bin."""
        peaks = self.peaks(column)
        at, band = np.unravel_index(int(peaks.argmax()), peaks.shape)
        middle = (self.starts[at] + self.ends[at]) / 2
        return Peak(float(peaks.max()), int(band), float(middle))

    def spread(self, column: int | None, parts: int) -> npt.NDArray[np.float32]:
        """Return :meth:`peaks` in parts of equal length, from the first start to the last end.

        A part has the maximum of the bins that overlap it, or zeros if there are none.
        """
        peaks = self.peaks(column)
        evenly = np.zeros((parts, self.bands), np.float32)
        begin, end = self.starts[0], self.ends[-1]
        scale = parts / (end - begin) if end > begin else 0.0
        first = np.minimum((self.starts - begin) * scale, parts - 1).astype(int)
        last = np.ceil((self.ends - begin) * scale).astype(int)
        for row, one, other in zip(peaks, first, last, strict=True):
            here = evenly[one : max(other, one + 1)]
            np.maximum(here, row, out=here)
        return evenly

    def _counts(self, sample: Sample) -> Floats:
        """Return exits by CPU and column, padded to whole bands."""
        used = [cpu for places in sample.exits.values() for cpu, _, _ in places]
        self._make_room(max(*used, *sample.cpus, *sample.code_dropped, 0, 0))
        cpus = BANDS * self.cpus_per_band
        counts = np.zeros((cpus, len(self.columns)))
        for code, places in sample.exits.items():
            column = [0] * cpus
            for (cpu, _, _), exits in places.items():
                column[min(cpu, MOST_CPUS - 1)] += exits.count
            counts[:, self._place(code)] += column
        for cpu, n in sample.code_dropped.items():
            counts[min(cpu, MOST_CPUS - 1), -1] += n
        return counts

    def _place(self, code: Code) -> int:
        """Return the column of a code."""
        place = self._places.get(code)
        if place is None:
            key = arches.reason(*code).column
            keys = [column.key for column in self.columns]
            place = keys.index(key) if key in keys else len(keys) - 1
            self._places[code] = place
        return place

    def _by_band(self, by_cpu: Floats) -> Floats:
        """Return the maximum of the CPUs in each band."""
        bands: Floats = by_cpu.reshape(BANDS, self.cpus_per_band, -1).max(axis=1)
        return bands

    def _make_room(self, cpu: int) -> None:
        cpu = min(cpu, MOST_CPUS - 1)
        while cpu >= BANDS * self.cpus_per_band:
            self._peaks = _halved(self._peaks, 1, np.maximum)
            self.cpus_per_band *= 2
            self.bands = (self.bands + 1) // 2
        self.bands = max(self.bands, cpu // self.cpus_per_band + 1)

    def _bin(self, sample: Sample) -> int:
        """Return the bin of the next sample."""
        if self._samples == BINS * self.samples_per_bin:
            self._join_bins()
        at = self._samples // self.samples_per_bin
        begin, end = self._span(sample)
        if at == self.bins:
            self._starts[at] = begin
        self._ends[at] = end
        self.bins = at + 1
        self._samples += 1
        return at

    def _span(self, sample: Sample) -> tuple[float, float]:
        """Return the start and end of a sample, not before the end of the last one."""
        end = sample.time + self.set_back
        begin = max(end - sample.elapsed, 0.0)  # no host is older than the epoch
        if self.bins:
            before = float(self._ends[self.bins - 1])
            if before - begin > _SLACK:
                self.set_back += before - begin
                return before, before + sample.elapsed
            begin = max(before, begin)
        return begin, max(begin, end)

    def _join_bins(self) -> None:
        self._starts[: BINS // 2] = self._starts[::2]
        self._ends[: BINS // 2] = self._ends[1::2]
        self._exits = _halved(self._exits, 0, np.add)
        self._seconds = _halved(self._seconds, 0, np.add)
        self._highest = _halved(self._highest, 0, np.maximum)
        self._peaks = _halved(self._peaks, 0, np.maximum)
        self.samples_per_bin *= 2
        self.bins = BINS // 2


def _halved(values: npt.NDArray[Any], axis: int, join: np.ufunc) -> npt.NDArray[Any]:
    """Merge neighbours along an axis, followed by as many zeros."""
    even, odd = (np.moveaxis(values, axis, 0)[first::2] for first in (0, 1))
    joined = join(even, odd)
    return np.moveaxis(np.concatenate([joined, np.zeros_like(joined)]), 0, axis)


def _columns(arch: str) -> Sequence[Column]:
    try:
        return arches.columns(arch)
    except UnknownNameError:  # of a backend that is not installed here
        return (Column(OTHER, OTHER),)
