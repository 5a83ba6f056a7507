"""Time in bins: constant memory and resolution, however long a recording is.

A bin has one sample, or several neighbouring samples in a long recording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from kstats.model import Sample

BINS = 512
"""At most; from half as many on, once neighbours were joined."""

_SLACK = 0.5
"""Seconds by which samples may seem to overlap without the clock having been set back."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Layer(Generic[K, V]):
    """What one thing was in each bin, by key; what did not occur is missing."""

    def __init__(self, join: Callable[[V, V], V]) -> None:
        """``join`` combines two values of a key in a bin; it may change and return the first."""
        self._join = join
        self._of: dict[K, dict[int, V]] = {}

    def add(self, key: K, at: int, value: V) -> None:
        """Add a value to a bin."""
        of = self._of.setdefault(key, {})
        of[at] = self._join(of[at], value) if at in of else value

    def get(self, key: K) -> Mapping[int, V]:
        """Return the values of a key by bin."""
        return self._of.get(key, {})

    def __iter__(self) -> Iterator[K]:
        return iter(self._of)

    def change(self, change: Callable[[V], V]) -> None:
        """Replace every value."""
        for of in self._of.values():
            for at, value in of.items():
                of[at] = change(value)

    def halve(self) -> None:
        """Join the bins 2n and 2n+1 to bin n."""
        before, self._of = self._of, {}
        for key, of in before.items():
            for at, value in sorted(of.items()):
                self.add(key, at // 2, value)


class Bins:
    """The bins of one recording; samples are added in their order.

    Attributes:
        starts: The start of each bin in seconds since the epoch.
        ends: The end of each bin; the next one starts later if samples are missing between them.
        seconds: The total length of the samples in each bin.
        samples_per_bin: The number of samples in a bin.
        set_back: Seconds by which the host's clock was set back in total. Time continues: later
            samples are moved by this time.
    """

    def __init__(self) -> None:
        """Start without samples."""
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.seconds: list[float] = []
        self.samples_per_bin = 1
        self.set_back = 0.0
        self._samples = 0
        self._layers: list[Layer[Any, Any]] = []

    def layer(self, join: Callable[[V, V], V]) -> Layer[Any, V]:
        """Return a new layer, whose bins are joined when these are."""
        layer: Layer[Any, V] = Layer(join)
        self._layers.append(layer)
        return layer

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, sample: Sample) -> int:
        """Return the bin of the next sample."""
        if self._samples == BINS * self.samples_per_bin:
            self._halve()
        at = self._samples // self.samples_per_bin
        begin, end = self._span(sample)
        if at == len(self):
            self.starts.append(begin)
            self.ends.append(end)
            self.seconds.append(0.0)
        self.ends[at] = end
        self.seconds[at] += sample.elapsed
        self._samples += 1
        return at

    def rates(self, counts: Mapping[int, float]) -> list[float | None]:
        """Return the mean per second in each bin; None in a bin of zero seconds."""
        return [
            counts.get(at, 0) / seconds if seconds > 0 else None
            for at, seconds in enumerate(self.seconds)
        ]

    def gaps(self) -> set[int]:
        """Return the bins that are followed by a time without samples."""
        return {
            at
            for at, (end, start) in enumerate(zip(self.ends, self.starts[1:], strict=False))
            if start - end > (end - self.starts[at]) / 2
        }

    def spread(self, parts: int) -> list[tuple[int, int, int]]:
        """Return (bin, first part, last part + 1) of the whole time in parts of equal length."""
        begin = self.starts[0]
        span = self.ends[-1] - begin or 1.0
        spread = []
        for at, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            first = min(int((start - begin) / span * parts), parts - 1)
            last = min(max(math.ceil((end - begin) / span * parts), first + 1), parts)
            spread.append((at, first, last))
        return spread

    def _span(self, sample: Sample) -> tuple[float, float]:
        """Return the start and end of a sample, not before the end of the last one."""
        end = sample.time + self.set_back
        begin = max(end - sample.elapsed, 0.0)  # no host is older than the epoch
        if self.ends:
            before = self.ends[-1]
            if before - begin > _SLACK:
                self.set_back += before - begin
                return before, before + sample.elapsed
            begin = max(before, begin)
        return begin, max(begin, end)

    def _halve(self) -> None:
        self.starts = self.starts[::2]
        self.ends = self.ends[1::2]
        self.seconds = [a + b for a, b in zip(self.seconds[::2], self.seconds[1::2], strict=True)]
        for layer in self._layers:
            layer.halve()
        self.samples_per_bin *= 2
