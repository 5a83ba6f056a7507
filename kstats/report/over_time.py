"""Exits over time, stacked by column within category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import OTHER, Category, Column
from kstats.errors import UnknownNameError
from kstats.report import style, texts
from kstats.report.figures import Entry, Figure, Grid
from kstats.report.gather import Gathered
from kstats.report.pictures import Series
from kstats.report.subject import Subject
from kstats.report.texts import duration, moment, rate

_ROWS = 24
"""The maximum of rows in the table of exits over time."""


class OverTime:
    """The section on exits over time."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._columns = list(_columns(subject.of))

    @property
    def quiet(self) -> list[str]:
        """The columns without exits."""
        busy = {column.key for column in self._columns}
        return [
            lookup.shown(column)
            for column in _known_columns(self._subject.of.aggregate.arch)
            if column.key not in busy
        ]

    @property
    def bin(self) -> str:
        """The usual length of a bin."""
        return duration(self._subject.seconds / len(self._subject.of.bins))

    @property
    def figure(self) -> Figure:
        """Exits over time, stacked by column within category."""
        series = [
            Series(column.name, column.style, self._subject.of.bins.rates(column.counts))
            for column in self._columns
        ]
        highest = self._subject.of.highest.get(None)
        peaks = [highest.get(at) for at in range(len(self._subject.of.bins))]
        line = (
            Series("busiest sample", "k-ink", peaks)
            if self._subject.of.bins.samples_per_bin > 1
            else None
        )
        shares = ", ".join(f"{c.name} {self._subject.share(c.total)}" for c in self._by_size())
        aggregate = self._subject.of.aggregate
        most = max(highest.values(), default=0.0)
        span = texts.span(aggregate.begin, aggregate.end)
        words = f"Exits per second over time, {span}, by column: {shares}."
        legend = [
            Entry(c.style, c.name, self._subject.share(c.total), c.meaning)
            for c in reversed(self._columns)
        ]
        return Figure(
            f"{self._subject.anchor}-time-all",
            "",
            f"{words} The busiest sample had {rate(most)} per second.",
            self._subject.canvas.stack(series, line),
            [*legend, *([Entry("k-ink line", "busiest sample")] if line else [])],
        )

    @property
    def grid(self) -> Grid:
        """The figures in that picture, in a few rows."""
        columns = self._by_size()
        highest = self._subject.of.highest.get(None)
        step = max(-(-len(self._subject.of.bins) // _ROWS), 1)
        rows = []
        for begin in range(0, len(self._subject.of.bins), step):
            part = range(begin, min(begin + step, len(self._subject.of.bins)))
            seconds = sum(self._subject.of.bins.seconds[at] for at in part)
            sums = [sum(column.counts.get(at, 0) for at in part) for column in columns]
            cells = [rate(n / seconds) if seconds else texts.DASH for n in sums]
            most = max((highest[at] for at in part if at in highest), default=None)
            last = texts.DASH if most is None else rate(most)
            rows.append([moment(self._subject.of.bins.starts[begin]), *cells, last])
        return Grid(["from", *(column.name for column in columns), "busiest sample"], rows)

    def _by_size(self) -> list[_Column]:
        return sorted(self._columns, key=lambda column: -column.total)


@attrs.frozen
class _Column:
    """A part of a category: the exits that a column of ``kstats cpu`` shows."""

    category: Category
    key: str
    name: str
    meaning: str
    shade: int
    counts: Mapping[int, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def style(self) -> str:
        return style.of(self.category, self.shade)


def _known_columns(arch: str) -> Sequence[Column]:
    try:
        return arches.columns(arch)
    except UnknownNameError:  # of a backend that is not installed here
        return (Column(OTHER, OTHER),)


def _columns(of: Gathered) -> Iterator[_Column]:
    """Yield the columns with exits within their categories, in the order of both."""
    known = {column.key: column for column in _known_columns(of.aggregate.arch)}
    sums: dict[tuple[Category, str], Counter[int]] = {}
    for code in of.codes:
        column = arches.reason(*code).column
        pair = of.category(code), column if column in known else OTHER
        sums.setdefault(pair, Counter()).update(of.codes.get(code))
    order = {key: place for place, key in enumerate(known)}
    shades: Counter[Category] = Counter()
    for category in Category:
        here = {key for of_category, key in sums if of_category is category}
        for key in sorted(here, key=lambda key: order[key]):
            counts = sums[category, key]
            if any(counts.values()):
                shown = lookup.shown(known[key])
                name = shown if shown == category else f"{category}: {shown}"
                meaning, shade = known[key].meaning, shades[category]
                yield _Column(category, key, name, meaning, shade, counts)
                shades[category] += 1
