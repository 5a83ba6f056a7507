"""Heat maps of CPUs and time, and the busiest sample of each CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kstats.arch.base import Category
from kstats.report import style
from kstats.report.figures import Figure, Grid
from kstats.report.subject import Subject
from kstats.report.texts import rate
from kstats.report.ticks import Tick

_SAME = 0.9
"""A map of a category is folded if its correlation with that of all exits is higher."""

_CONTRAST = 0.2
"""It is also folded if no cell differs from its mean by this part of the common scale."""


class Cpus:
    """The section on CPUs."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def maps(self) -> list[Figure]:
        """A heat map for all exits and one for each category; first those that show something new.

        All have one scale: from 0 to the busiest CPU of all exits.
        """
        every = self._subject.of.peaks.get(None)
        if not every or not self._subject.of.rows:
            return []
        most = self._most(None)
        maps = [self._map("all exits", "", every, "k-ink", most, folded=False)]
        for category in self._categories():
            peaks = self._subject.of.peaks.get(category)
            cells = [value for of_bin in peaks.values() for value in of_bin]
            mean = sum(cells) / (len(self._subject.of.bins) * len(self._subject.of.rows))
            flat = self._most(category) - mean < _CONTRAST * most
            folded = flat or _correlation(peaks, every) > _SAME
            of = style.of(category)
            maps.append(self._map(str(category), category.value, peaks, of, most, folded=folded))
        return sorted(maps, key=lambda one: one.folded)

    @property
    def grid(self) -> Grid:
        """The maximum of each row of CPUs by category."""
        keys: list[Category | None] = [None, *self._categories()]
        most = [self._row_peaks(key) for key in keys]
        rows = [
            [label, *(rate(of_key[row]) for of_key in most)]
            for row, label in enumerate(self._subject.of.rows.labels())
        ]
        return Grid(["CPU", "all exits", *map(str, keys[1:])], rows)

    @property
    def per_row(self) -> int:
        """The number of CPUs in a row of a heat map."""
        return self._subject.of.rows.cpus_per_row

    def _map(  # noqa: PLR0913 - what a map is made of
        self,
        title: str,
        name: str,
        peaks: Mapping[int, Sequence[float]],
        colour: str,
        most: float,
        *,
        folded: bool,
    ) -> Figure:
        rows = self._row_peaks_of(peaks)
        row = max(range(len(rows)), key=lambda row: rows[row])
        label = self._subject.of.rows.labels()[row]
        words = f"Exits per second by CPU and time, {title}: at most {rate(rows[row])}, on CPU"
        words += f" {label}; the scale ends at {rate(most)}."
        nodes = dict(self._subject.of.rows.nodes())
        labels = [f"CPU {text}" for text in self._subject.of.rows.labels()]
        anchor = f"{self._subject.anchor}-cpu-{name or 'all'}"
        picture = self._subject.canvas.heat(
            peaks,
            labels,
            most,
            style=colour,
            name=f"{anchor}-m",
            y=_row_ticks(self._subject.of.rows.labels(), nodes),
        )
        remark = f"at most {rate(rows[row])}, on CPU {label}"
        scale = (colour, rate(most))
        return Figure(anchor, title, words, picture, (), remark, scale, folded)

    def _categories(self) -> list[Category]:
        return [category for category in Category if self._most(category) > 0]

    def _most(self, category: Category | None) -> float:
        return max(self._row_peaks(category), default=0.0)

    def _row_peaks(self, category: Category | None) -> list[float]:
        return self._row_peaks_of(self._subject.of.peaks.get(category))

    def _row_peaks_of(self, peaks: Mapping[int, Sequence[float]]) -> list[float]:
        most = [0.0] * len(self._subject.of.rows)
        for of_bin in peaks.values():
            for row, peak in enumerate(of_bin):
                most[row] = max(most[row], peak)
        return most


def _correlation(one: Mapping[int, Sequence[float]], other: Mapping[int, Sequence[float]]) -> float:
    """Return Pearson's correlation of two maps; 1 if one of them is the same everywhere."""
    pairs = [
        (one[at][row] if at in one and row < len(one[at]) else 0.0, value)
        for at, values in other.items()
        for row, value in enumerate(values)
    ]
    means = [sum(values) / len(pairs) for values in zip(*pairs, strict=True)]
    centred = [(a - means[0], b - means[1]) for a, b in pairs]
    variance = math.prod(
        sum(values) for values in zip(*((a * a, b * b) for a, b in centred), strict=True)
    )
    return sum(a * b for a, b in centred) / math.sqrt(variance) if variance > 0 else 1.0


def _row_ticks(labels: Sequence[str], nodes: Mapping[int, int]) -> list[Tick]:
    """Return ticks at the first CPU of each NUMA node, or at a few CPUs."""
    rows = len(labels)
    if 1 < len(nodes) <= 8:
        return [Tick(1 - row / rows, f"node {node}") for row, node in nodes.items()]
    step = max(-(-rows // 5), 1)
    return [Tick(1 - (row + 0.5) / rows, labels[row]) for row in range(0, rows, step)]
