"""Latencies over time by reason."""

from __future__ import annotations

from collections.abc import Mapping

from kstats.durations import duration as nanoseconds
from kstats.histogram import SUB_BITS, bounds, bucket_of
from kstats.model import Code
from kstats.report import style, texts, ticks
from kstats.report.figures import Entry, Figure, Grid
from kstats.report.findings import total_latency
from kstats.report.gather import Latency
from kstats.report.pictures import Series
from kstats.report.subject import MOST_PICTURES, MOST_ROWS, OPEN, Subject
from kstats.report.ticks import Tick
from kstats.views.latency import is_idle

_MERGED_BITS = SUB_BITS - 1
"""Buckets are merged to two rows for each power of two."""


class Latencies:
    """The section on latency."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def grid(self) -> Grid | None:
        """The latency of each reason; None if it was not measured."""
        rows = []
        for code, latency in self.sums()[:MOST_ROWS]:
            of = latency.histogram
            times = (of.mean, *map(of.percentile, (50, 90, 99)), of.maximum)
            cells = (texts.DASH if t is None else nanoseconds(t) for t in times)
            rows.append(
                [self._subject.of.name(code), f"{of.count:,}", nanoseconds(of.total), *cells]
            )
        headings = ["reason", "count", "total", "mean", "p50", "p90", "p99", "max"]
        return Grid(headings, rows) if rows else None

    @property
    def figures(self) -> list[Figure]:
        """A heat map of time and latency with percentiles for each reason, longest total first."""
        return [
            self._latency(code, latency, folded=place >= OPEN or is_idle(code))
            for place, (code, latency) in enumerate(self.sums()[:MOST_PICTURES])
        ]

    def sums(self) -> list[tuple[Code, Latency]]:
        """Return the latencies of each reason, longest total first, idle ones last."""
        sums = [(code, total_latency(self._subject.of, code)) for code in self._subject.of.latency]
        return sorted(sums, key=lambda item: (is_idle(item[0]), -item[1].total))

    def _latency(self, code: Code, latency: Latency, *, folded: bool) -> Figure:
        low, high = (pick(latency.buckets) >> _MERGED_BITS for pick in (min, max))
        rows = high - low + 1
        by_bin = self._subject.of.latency.get(code)
        cells: dict[int, list[float]] = {}
        for at, of_bin in by_bin.items():
            count = sum(of_bin.buckets.values())
            shares = cells.setdefault(at, [0.0] * rows)
            for bucket, n in of_bin.buckets.items():
                shares[high - (bucket >> _MERGED_BITS)] += 100 * n / count
        labels = [_row_text(row) for row in range(high, low - 1, -1)]

        def position(ns: float) -> float:
            return ((bucket_of(round(ns)) + 0.5) / (1 << _MERGED_BITS) - low) / rows

        lines = [
            Series(f"p{percent}", f"k-ink p{percent}", self._percentiles(by_bin, percent))
            for percent in (50, 99)
        ]
        name, histogram = self._subject.of.name(code), latency.histogram
        p50, p99 = (nanoseconds(histogram.percentile(percent) or 0) for percent in (50, 99))
        words = f"Latency of {name} over time: half within {p50}, 99 % within {p99}, at most"
        words += f" {nanoseconds(histogram.maximum)}."
        anchor = (
            f"{self._subject.anchor}-lat-{code[1]}-{list(self._subject.of.latency).index(code)}"
        )
        colour = style.of(self._subject.of.category(code))
        picture = self._subject.canvas.heat(
            cells,
            labels,
            100.0,
            style=colour,
            name=f"{anchor}-m",
            y=_latency_ticks(low, high),
            unit="%",
            lines=lines,
            position=position,
            height=150,
        )
        remark = f"{histogram.count:,} exits, {nanoseconds(histogram.total)} in total; median {p50}"
        legend = (Entry("k-ink line p50", "median"), Entry("k-ink line p99", "99th percentile"))
        return Figure(
            anchor, name, words, picture, legend, f"{remark}, p99 {p99}", (colour, "100 %"), folded
        )

    def _percentiles(self, by_bin: Mapping[int, Latency], percent: int) -> list[float | None]:
        return [
            by_bin[at].histogram.percentile(percent) if at in by_bin else None
            for at in range(len(self._subject.of.bins))
        ]


def _latency_ticks(low: int, high: int) -> list[Tick]:
    least = max(bounds(low << _MERGED_BITS)[0], 1)
    most = bounds(((high + 1) << _MERGED_BITS) - 1)[1]
    return [
        Tick((bucket_of(10**p) / (1 << _MERGED_BITS) - low) / (high - low + 1), text)
        for p, text in ticks.powers(least, most)
    ]


def _row_text(row: int) -> str:
    low = bounds(row << _MERGED_BITS)[0]
    high = bounds(((row + 1) << _MERGED_BITS) - 1)[1] + 1
    return f"{nanoseconds(low)} to {nanoseconds(high)}"
