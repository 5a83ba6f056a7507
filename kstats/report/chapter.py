"""The chapter on one recording: pictures, and the same information in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from markupsafe import Markup

from kstats import arch as arches
from kstats.arch.base import Column
from kstats.report import pictures, texts
from kstats.report.gather import Gathered, Rank
from kstats.report.texts import duration, moment, number, rate
from kstats.report.timeline import Floats, Timeline
from kstats.views import losses

_ROWS = 24
"""The maximum of rows in the table of exits over time."""

_MOST_NOTES = 10


@attrs.frozen
class Series:
    """An entry of a legend; ``colour`` is the page's CSS variable."""

    column: Column
    colour: str
    count: int
    share: float

    @property
    def name(self) -> str:
        """The heading of the column: ``msr rd``."""
        return f"{self.column.group} {self.column.label}".strip()


@attrs.frozen
class Heat:
    """A heat map of CPUs and time, and its description in words."""

    name: str
    meaning: str
    svg: Markup
    most: float
    words: str


@attrs.frozen
class Grid:
    """A table of texts; the first cell of each row is a heading."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


class Chapter:
    """One recording; ``place`` is its index on the page."""

    def __init__(self, place: int, gathered: Gathered) -> None:
        """Prepare the series; everything else is computed on demand."""
        self.anchor = f"r{place}"
        self.title = gathered.label
        self.timeline = gathered.timeline or Timeline(gathered.aggregate.arch)
        self.exits = gathered.exits.total()
        part = gathered.aggregate.parts.get(None)
        self.seconds = part.seconds if part else 0.0
        self.samples = part.samples if part else 0
        self.vcpus = part.vcpu_seconds / part.seconds if part and part.vcpu_seconds else None
        self._of = gathered

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.timeline.bins

    @property
    def facts(self) -> dict[str, str]:
        """Facts about the host and the recording by heading."""
        aggregate = self._of.aggregate
        ours = {
            "exits of": ", ".join(aggregate.isas),
            "CPUs": str(aggregate.cpus),
            "vCPUs": "unknown" if self.vcpus is None else f"{number(self.vcpus)} on average",
            "recorded": texts.span(aggregate.begin, aggregate.end),
            "samples": f"{self.samples} in {duration(self.seconds)}",
            "exits": f"{self.exits:,}",
        }
        return {**self._of.facts, **ours}

    @property
    def tiles(self) -> Iterator[tuple[str, str, str]]:
        """The key figures as (title, figure, remark)."""
        mean = self.exits / self.seconds if self.seconds else 0.0
        yield "exits per second", rate(mean), f"{self.exits:,} in {duration(self.seconds)}"
        if self.vcpus:
            yield "per vCPU-second", rate(mean / self.vcpus), f"{number(self.vcpus)} vCPUs"
        if not self.empty:
            at = int(self.timeline.highest.argmax())
            when = moment(self.timeline.starts[at])
            yield "busiest sample, per second", rate(float(self.timeline.highest[at])), when
        for code, n in self._of.exits.most_common(1):
            reason = arches.reason(*code)
            yield "most frequent reason", reason.name, f"{100 * n / self.exits:.1f} % of all exits"

    @property
    def series(self) -> list[Series]:
        """The columns with exits, largest first."""
        sums = self.timeline.exits.sum(axis=0)
        found = [
            Series(column, pictures.colour(i, column), int(n), 100 * float(n) / float(sums.sum()))
            for i, (column, n) in enumerate(zip(self.timeline.columns, sums, strict=True))
            if n
        ]
        return sorted(found, key=lambda series: -series.count)

    @property
    def quiet(self) -> list[str]:
        """The columns without exits."""
        busy = {series.column.key for series in self.series}
        return [
            f"{column.group} {column.label}".strip()
            for column in self.timeline.columns
            if column.key not in busy
        ]

    @property
    def stacked(self) -> Markup:
        """The picture of exits over time."""
        return Markup(pictures.stacked(self.timeline, f"{self.anchor}t"))  # noqa: S704 - drawn

    @property
    def stacked_words(self) -> str:
        """The text alternative of that picture."""
        shares = ", ".join(f"{one.name} {one.share:.1f} %" for one in self.series)
        _, figure, when = next(tile for tile in self.tiles if tile[0].startswith("busiest"))
        return (
            f"Exits per second over time, {self.facts['recorded']}, stacked by column: {shares}."
            f" The busiest sample had {figure} per second, at {when}."
        )

    @property
    def bin(self) -> str:
        """The usual length of a bin."""
        return duration(self.seconds / self.timeline.bins)

    @property
    def map_bin(self) -> str:
        """The length of a cell of a heat map."""
        span = float(self.timeline.ends[-1] - self.timeline.starts[0])
        return duration(max(self.seconds / self.timeline.bins, span / pictures.MAP_PARTS))

    @property
    def over_time(self) -> Grid:
        """The figures in the picture, in a few rows."""
        line = self.timeline
        step = max(-(-line.bins // _ROWS), 1)
        rows = []
        for begin in range(0, line.bins, step):
            part = slice(begin, begin + step)
            seconds = float(line.seconds[part].sum())
            sums = line.exits[part].sum(axis=0)
            cells = [rate(float(n) / seconds) if seconds else texts.DASH for n in self._shown(sums)]
            most = rate(float(line.highest[part].max())) if seconds else texts.DASH
            rows.append([moment(line.starts[begin]), *cells, most])
        return Grid(["from", *(one.name for one in self.series), "busiest sample"], rows)

    @property
    def by_cpu(self) -> Grid:
        """The maximum of each CPU by column."""
        line = self.timeline
        most = [line.peaks(self._place(one)).max(axis=0) for one in self.series]
        rows = [
            [self._band(band), *(rate(float(of_column[band])) for of_column in most)]
            for band in range(line.bands)
        ]
        return Grid(["CPU", *(one.name for one in self.series)], rows)

    @property
    def heats(self) -> Iterator[Heat]:
        """A heat map for all exits, and one for each column with exits."""
        yield self._heat("all exits", "", None)
        for one in self.series:
            yield self._heat(one.name, one.column.meaning, self._place(one))

    @property
    def reasons(self) -> list[Rank]:
        """The reasons, most frequent first."""
        return self._of.reasons()

    @property
    def vms(self) -> list[Rank]:
        """The VMs, most exits first."""
        return self._of.vms()

    @property
    def vms_most(self) -> int:
        """The figure of the longest bar."""
        return max((rank.count for rank in self.vms), default=0) or 1

    @property
    def notes(self) -> list[str]:
        """The losses and the notes of the recording."""
        said = [
            f"{note} ({times} times)" if times > 1 else note
            for note, times in self._of.notes.most_common(_MOST_NOTES)
        ]
        more = len(self._of.notes) - _MOST_NOTES
        rest = [f"and {more} more notes"] if more > 0 else []
        late = duration(self.timeline.set_back)
        clock = [f"the clock was set back: later samples are drawn {late} late"]
        told = [
            *losses.sentences(self._of.aggregate.losses),
            *(clock if self.timeline.set_back else []),
        ]
        return [*told, *said, *rest]

    def _heat(self, name: str, meaning: str, place: int | None) -> Heat:
        svg = pictures.heat(
            self.timeline, place, f"{self.anchor}h{'a' if place is None else place}"
        )
        peak = self.timeline.peak(place)
        words = (
            f"Exits per second by CPU and time, {name}: at most {rate(peak.rate)}, on CPU"
            f" {self._band(peak.band)}, at about {moment(peak.time)}."
        )
        return Heat(name, meaning, Markup(svg), peak.rate, words)  # noqa: S704 - drawn

    def _band(self, band: int) -> str:
        each = self.timeline.cpus_per_band
        first = band * each
        return str(first) if each == 1 else f"{first}-{first + each - 1}"

    def _place(self, one: Series) -> int:
        return list(self.timeline.columns).index(one.column)

    def _shown(self, by_column: Floats) -> list[float]:
        return [by_column[self._place(one)] for one in self.series]
