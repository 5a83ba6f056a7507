"""The chapter on one recording: pictures, and the same information in words and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import OTHER, Category, Column
from kstats.arch.details import UNKNOWN as UNKNOWN_DETAIL
from kstats.durations import duration as nanoseconds
from kstats.errors import UnknownNameError
from kstats.escape import printable
from kstats.histogram import SUB_BITS, bounds, bucket_of
from kstats.model import Code, VcpuTime
from kstats.report import style, texts, ticks
from kstats.report.findings import Finding, findings, total_latency
from kstats.report.gather import Gathered, Latency
from kstats.report.pictures import Canvas, Picture, Series
from kstats.report.texts import duration, moment, number, rate
from kstats.report.ticks import Tick
from kstats.views import losses
from kstats.views.exits import UNKNOWN, names_of
from kstats.views.latency import is_idle
from kstats.vms.identity import Thread

MOST_ROWS = 25
"""Of a ranking; one more has the sum of the others."""

OTHERS = "(others)"

_ROWS = 24
"""The maximum of rows in the table of exits over time."""

_MOST_NOTES = 10
_MOST_PICTURES = 12
"""Of latencies by reason, and of VMs' time."""

_OPEN = 4
"""Pictures of a kind that are not folded."""

_SAME = 0.9
"""A map of a category is folded if its correlation with that of all exits is higher."""

_CONTRAST = 0.2
"""It is also folded if no cell differs from its mean by this part of the common scale."""

_MERGED_BITS = SUB_BITS - 1
"""Buckets are merged to two rows for each power of two."""


@attrs.frozen
class Entry:
    """An entry of a legend: the class of its colour, its name and a remark."""

    style: str
    name: str
    remark: str = ""
    title: str = ""


@attrs.frozen(eq=False)
class Figure:
    """A picture with its title, text alternative and legend; ``scale`` is its largest value."""

    anchor: str
    title: str
    words: str
    picture: Picture
    legend: Sequence[Entry] = ()
    remark: str = ""
    scale: tuple[str, str] | None = None
    folded: bool = False


@attrs.frozen
class Rank:
    """A row of a ranking.

    Attributes:
        name: Its heading, which links to the explanation of ``code``.
        count: What rows are compared by.
        parts: The bar: (class, amount) of each part.
        cells: What follows the bar.
        links: Reasons to explain, as (code, name).
        prose: The last cell, after ``links``.
    """

    name: str
    count: int
    parts: tuple[tuple[str, float], ...] = ()
    cells: tuple[str, ...] = ()
    prose: str = ""
    code: Code | None = None
    links: tuple[tuple[Code, str], ...] = ()


@attrs.frozen(eq=False)
class Ranking:
    """A table with bars; the longest stands for ``most``."""

    headings: Sequence[str]
    ranks: Sequence[Rank]
    most: float
    prose: str = ""


@attrs.frozen
class Grid:
    """A table of texts; the first cell of each row is a heading."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


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


class Chapter:
    """One recording; ``place`` is its index on the page."""

    def __init__(self, place: int, gathered: Gathered) -> None:
        """Prepare what several pictures need; everything else is computed on demand."""
        self.anchor = f"r{place}"
        self.title = gathered.label
        self.bins = gathered.bins
        self.exits = gathered.exits.total()
        part = gathered.aggregate.parts.get(None)
        self.seconds = part.seconds if part else 0.0
        self.samples = part.samples if part else 0
        self.vcpus = part.vcpu_seconds / part.seconds if part and part.vcpu_seconds else None
        self._of = gathered
        names = names_of(vm for vm in gathered.vms if vm)
        self._vm_names = [printable(names[vm]) if vm else UNKNOWN for vm in gathered.vms]
        self._columns = list(_columns(gathered))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.bins

    @cached_property
    def canvas(self) -> Canvas:
        """What draws; not of an empty chapter."""
        return Canvas(self.bins)

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
    def findings(self) -> list[Finding]:
        """What matters, in words."""
        return list(findings(self._of, self._vm_names))

    @property
    def tiles(self) -> Iterator[tuple[str, str, str]]:
        """The key figures as (title, figure, remark)."""
        mean = self.exits / self.seconds if self.seconds else 0.0
        yield "exits per second", rate(mean), f"{self.exits:,} in {duration(self.seconds)}"
        if self.vcpus:
            yield "per vCPU-second", rate(mean / self.vcpus), f"{number(self.vcpus)} vCPUs"
        highest = self._of.highest.get(None)
        if highest:
            at = max(highest, key=lambda at: highest[at])
            yield "busiest sample, per second", rate(highest[at]), moment(self.bins.starts[at])
        for code, n in self._of.exits.most_common(1):
            share = f"{100 * n / self.exits:.1f} % of all exits"
            yield "most frequent reason", self._of.name(code), share

    @property
    def quiet(self) -> list[str]:
        """The columns without exits."""
        busy = {column.key for column in self._columns}
        return [
            lookup.shown(column)
            for column in _known_columns(self._of.aggregate.arch)
            if column.key not in busy
        ]

    @property
    def bin(self) -> str:
        """The usual length of a bin."""
        return duration(self.seconds / len(self.bins))

    # ---- over time

    @property
    def over_time(self) -> Figure:
        """Exits over time, stacked by column within category."""
        series = [
            Series(column.name, column.style, self.bins.rates(column.counts))
            for column in self._columns
        ]
        highest = self._of.highest.get(None)
        peaks = [highest.get(at) for at in range(len(self.bins))]
        line = Series("busiest sample", "k-ink", peaks) if self.bins.samples_per_bin > 1 else None
        shares = ", ".join(f"{c.name} {self._share(c.total)}" for c in self._by_size())
        _, figure, when = next(
            (tile for tile in self.tiles if tile[0].startswith("busiest")), ("", "0", texts.DASH)
        )
        words = f"Exits per second over time, {self.facts['recorded']}, by column: {shares}."
        legend = [
            Entry(c.style, c.name, self._share(c.total), c.meaning) for c in reversed(self._columns)
        ]
        return Figure(
            f"{self.anchor}-time-all",
            "",
            f"{words} The busiest sample had {figure} per second, at {when}.",
            self.canvas.stack(series, line),
            [*legend, *([Entry("k-ink line", "busiest sample")] if line else [])],
        )

    @property
    def time_grid(self) -> Grid:
        """The figures in that picture, in a few rows."""
        columns = self._by_size()
        highest = self._of.highest.get(None)
        step = max(-(-len(self.bins) // _ROWS), 1)
        rows = []
        for begin in range(0, len(self.bins), step):
            part = range(begin, min(begin + step, len(self.bins)))
            seconds = sum(self.bins.seconds[at] for at in part)
            sums = [sum(column.counts.get(at, 0) for at in part) for column in columns]
            cells = [rate(n / seconds) if seconds else texts.DASH for n in sums]
            most = max((highest[at] for at in part if at in highest), default=None)
            last = texts.DASH if most is None else rate(most)
            rows.append([moment(self.bins.starts[begin]), *cells, last])
        return Grid(["from", *(column.name for column in columns), "busiest sample"], rows)

    # ---- by CPU

    @property
    def maps(self) -> list[Figure]:
        """A heat map for all exits and one for each category; first those that show something new.

        All have one scale: from 0 to the busiest CPU of all exits.
        """
        every = self._of.peaks.get(None)
        if not every or not self._of.rows:
            return []
        most = self._most(None)
        maps = [self._map("all exits", "", every, "k-ink", most, folded=False)]
        for category in self._categories():
            peaks = self._of.peaks.get(category)
            cells = [value for of_bin in peaks.values() for value in of_bin]
            mean = sum(cells) / (len(self.bins) * len(self._of.rows))
            flat = self._most(category) - mean < _CONTRAST * most
            folded = flat or _correlation(peaks, every) > _SAME
            of = style.of(category)
            maps.append(self._map(str(category), category.value, peaks, of, most, folded=folded))
        return sorted(maps, key=lambda one: one.folded)

    @property
    def cpu_grid(self) -> Grid:
        """The maximum of each row of CPUs by category."""
        keys: list[Category | None] = [None, *self._categories()]
        most = [self._row_peaks(key) for key in keys]
        rows = [
            [label, *(rate(of_key[row]) for of_key in most)]
            for row, label in enumerate(self._of.rows.labels())
        ]
        return Grid(["CPU", "all exits", *map(str, keys[1:])], rows)

    @property
    def cpus_per_row(self) -> int:
        """The number of CPUs in a row of a heat map."""
        return self._of.rows.cpus_per_row

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
        label = self._of.rows.labels()[row]
        words = f"Exits per second by CPU and time, {title}: at most {rate(rows[row])}, on CPU"
        words += f" {label}; the scale ends at {rate(most)}."
        nodes = dict(self._of.rows.nodes())
        labels = [f"CPU {text}" for text in self._of.rows.labels()]
        anchor = f"{self.anchor}-cpu-{name or 'all'}"
        picture = self.canvas.heat(
            peaks,
            labels,
            most,
            style=colour,
            name=f"{anchor}-m",
            y=_row_ticks(self._of.rows.labels(), nodes),
        )
        remark = f"at most {rate(rows[row])}, on CPU {label}"
        scale = (colour, rate(most))
        return Figure(anchor, title, words, picture, (), remark, scale, folded)

    # ---- by VM

    @property
    def vm_map(self) -> Figure | None:
        """Exits of the busiest VMs over time; None with fewer than two VMs."""
        busiest = [vm for vm, n in self._vm_totals().most_common(MOST_ROWS) if n]
        if len(busiest) < 2:
            return None
        rates = [self.bins.rates(self._of.by_vm.get(vm)) for vm in busiest]
        cells = {at: [of_vm[at] or 0.0 for of_vm in rates] for at in range(len(self.bins))}
        most = max(max(row) for row in cells.values())
        names = [self._vm_names[vm] for vm in busiest]
        anchor = f"{self.anchor}-vm-map"
        picture = self.canvas.heat(
            cells,
            names,
            most,
            style="k-ink",
            name=f"{anchor}-m",
            y=[Tick(1 - (i + 0.5) / len(names), name) for i, name in enumerate(names)],
            height=18 * len(names),
        )
        words = f"Exits per second by VM and time, of {', '.join(names)}; at most {rate(most)}."
        return Figure(anchor, "", words, picture, scale=("k-ink", rate(most)))

    @property
    def vms(self) -> Ranking | None:
        """The VMs, most exits first; None if they were not recorded."""
        totals = self._vm_totals()
        if not totals:
            return None
        ranks = []
        for vm, n in sorted(totals.items(), key=lambda item: -item[1]):
            codes = self._of.vm_codes[vm]
            top = tuple((code, self._of.name(code)) for code, _ in codes.most_common(3))
            figures = self._figures(n)
            ranks.append(Rank(self._vm_names[vm], n, self._parts(codes), figures, links=top))
        return self._ranking(ranks, "most frequent reasons")

    # ---- by reason

    @property
    def reasons(self) -> Ranking:
        """The reasons, most frequent first."""
        ranks = [
            Rank(
                self._of.name(code),
                n,
                ((style.of(self._of.category(code)), n),),
                self._figures(n),
                arches.reason(*code).meaning,
                code,
            )
            for code, n in self._of.exits.most_common()
        ]
        return self._ranking(ranks, "meaning")

    @property
    def codes(self) -> list[Code]:
        """The codes that the chapter names, to be explained."""
        ranked = [rank.code for rank in self.reasons.ranks]
        vms = self.vms.ranks if self.vms else ()
        tops = [code for rank in vms for code, _ in rank.links]
        found = [finding.code for finding in self.findings]
        timed = [code for code, _ in self._latencies()]
        return [code for code in (*ranked, *tops, *found, *timed) if code]

    @property
    def details(self) -> Ranking | None:
        """The hottest details; None if they were not recorded."""
        counts = self._of.details
        if not counts:
            return None
        ranks = [
            Rank(
                self._detail(code, detail),
                n,
                ((style.of(self._of.category(code)), n),),
                self._figures(n, counts.total() + self._of.details_dropped),
                links=((code, self._of.name(code)),),
            )
            for (code, detail), n in counts.most_common()
        ]
        return self._ranking(ranks, "reason")

    @property
    def detail(self) -> str:
        """The kind of details."""
        return self._of.detail

    @property
    def details_dropped(self) -> int:
        """Exits whose details are missing in the ranking, because there were too many."""
        return self._of.details_dropped

    def _detail(self, code: Code, number: int | None) -> str:
        kind = arches.detail(code[0], self._of.detail)
        if kind is None or number is None or number == UNKNOWN_DETAIL:
            return UNKNOWN
        return kind.text(number)

    # ---- latency

    @property
    def latency_grid(self) -> Grid | None:
        """The latency of each reason; None if it was not measured."""
        rows = []
        for code, latency in self._latencies()[:MOST_ROWS]:
            of = latency.histogram
            times = (of.mean, *map(of.percentile, (50, 90, 99)), of.maximum)
            cells = (texts.DASH if t is None else nanoseconds(t) for t in times)
            rows.append([self._of.name(code), f"{of.count:,}", nanoseconds(of.total), *cells])
        headings = ["reason", "count", "total", "mean", "p50", "p90", "p99", "max"]
        return Grid(headings, rows) if rows else None

    @property
    def latencies(self) -> list[Figure]:
        """A heat map of time and latency with percentiles for each reason, longest total first."""
        return [
            self._latency(code, latency, folded=place >= _OPEN or is_idle(code))
            for place, (code, latency) in enumerate(self._latencies()[:_MOST_PICTURES])
        ]

    def _latencies(self) -> list[tuple[Code, Latency]]:
        sums = [(code, total_latency(self._of, code)) for code in self._of.latency]
        return sorted(sums, key=lambda item: (is_idle(item[0]), -item[1].total))

    def _latency(self, code: Code, latency: Latency, *, folded: bool) -> Figure:
        low, high = (pick(latency.buckets) >> _MERGED_BITS for pick in (min, max))
        rows = high - low + 1
        by_bin = self._of.latency.get(code)
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
        name, histogram = self._of.name(code), latency.histogram
        p50, p99 = (nanoseconds(histogram.percentile(percent) or 0) for percent in (50, 99))
        words = f"Latency of {name} over time: half within {p50}, 99 % within {p99}, at most"
        words += f" {nanoseconds(histogram.maximum)}."
        anchor = f"{self.anchor}-lat-{code[1]}-{list(self._of.latency).index(code)}"
        colour = style.of(self._of.category(code))
        picture = self.canvas.heat(
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
            for at in range(len(self.bins))
        ]

    # ---- vCPU time

    @property
    def time_ranking(self) -> Ranking | None:
        """Where the time of each VM's vCPUs went; None if it was not measured."""
        sums = self._times()
        if not sums:
            return None
        ranks = [
            Rank(
                self._vm_names[vm],
                0,
                tuple((f"k-{state}", part) for state, part in shares.items()),
                tuple(
                    f"{shares[state]:.1f} %" if state in shares else texts.DASH
                    for state in style.STATES
                ),
            )
            for vm, shares in sums.items()
        ][:MOST_ROWS]
        return Ranking([*style.STATES], ranks, 100.0)

    @property
    def times(self) -> list[Figure]:
        """The states of each VM's vCPUs over time, most exits first."""
        figures = []
        for place, vm in enumerate(list(self._times())[:_MOST_PICTURES]):
            spent = self._of.times.get(vm)
            shares = {at: _shares(time) for at, time in spent.items()}
            series = [
                Series(
                    state,
                    f"k-{state}",
                    [
                        shares[at].get(state, 0.0) if at in shares else None
                        for at in range(len(self.bins))
                    ],
                )
                for state in style.STATES
            ]
            whole = self._times()[vm]
            parts = ", ".join(f"{state} {part:.1f} %" for state, part in whole.items())
            name = self._vm_names[vm]
            figures.append(
                Figure(
                    f"{self.anchor}-states-{vm}",
                    name,
                    f"Time of the vCPUs of {name} by state: {parts}.",
                    attrs.evolve(self.canvas.stack(series, highest=100.0), height=110),
                    remark=parts,
                    folded=place >= _OPEN,
                )
            )
        return figures

    @property
    def states(self) -> list[Entry]:
        """The legend of vCPU time."""
        return [Entry(f"k-{state}", state) for state in style.STATES]

    def _times(self) -> dict[int, dict[str, float]]:
        """Return shares of time by VM and state in per cent, VMs with the most exits first."""
        exits = self._vm_totals()
        sums = {
            vm: _shares(sum(self._of.times.get(vm).values(), VcpuTime()))
            for vm in sorted(self._of.times, key=lambda vm: -exits[vm])
        }
        return {vm: shares for vm, shares in sums.items() if shares}

    # ---- slow exits

    @property
    def slow(self) -> Figure | None:
        """Slow exits on a time line; None if there are none."""
        slow = self._of.slow
        if not slow:
            return None
        low = min(one.exit.duration for one in slow) * 0.8
        high = max(one.exit.duration for one in slow) * 1.25
        low, high = max(low, 1.0), max(high, 2.0)
        points = []
        for one in slow:
            height = math.log(max(one.exit.duration, 1) / low) / math.log(high / low)
            where = self._where(one.thread)
            text = f"{self._of.name(one.exit.code)} {nanoseconds(one.exit.duration)}, {where}"
            colour = style.of(self._of.category(one.exit.code))
            points.append((one.exit.time + self.bins.set_back, height, colour, text))
        words = f"{self._of.slow_count} slow exits over time, up to"
        words += f" {nanoseconds(max(one.exit.duration for one in slow))}."
        used = dict.fromkeys(self._of.category(one.exit.code) for one in slow)
        legend = [
            Entry(style.of(category), str(category)) for category in Category if category in used
        ]
        return Figure(
            f"{self.anchor}-slow-all",
            "",
            words,
            self.canvas.dots(points, ticks.decades(low, high)),
            legend,
        )

    @property
    def slow_count(self) -> int:
        """The number of slow exits, also those that are not drawn."""
        return self._of.slow_count

    @property
    def slow_drawn(self) -> int:
        """The number of slow exits that are drawn."""
        return len(self._of.slow)

    @property
    def slow_grid(self) -> Grid:
        """The slowest exits."""
        slowest = sorted(self._of.slow, key=lambda one: -one.exit.duration)[:MOST_ROWS]
        rows = [
            [
                texts.precise(one.exit.time),
                nanoseconds(one.exit.duration),
                self._of.name(one.exit.code),
                self._where(one.thread),
                UNKNOWN if one.exit.place.cpu < 0 else str(one.exit.place.cpu),
            ]
            for one in slowest
        ]
        return Grid(["ended", "duration", "reason", "vCPU", "CPU"], rows)

    # ---- the rest

    @property
    def notes(self) -> list[str]:
        """The losses and the notes of the recording."""
        said = [
            f"{note} ({times} times)" if times > 1 else note
            for note, times in self._of.notes.most_common(_MOST_NOTES)
        ]
        more = len(self._of.notes) - _MOST_NOTES
        rest = [f"and {more} more notes"] if more > 0 else []
        late = duration(self.bins.set_back)
        clock = [f"the clock was set back: later samples are drawn {late} late"]
        lost = losses.sentences(self._of.aggregate.losses)
        return [*lost, *(clock if self.bins.set_back else []), *said, *rest]

    def categories_of(self, ranking: Ranking) -> list[Entry]:
        """Return the legend of bars."""
        used = {name for rank in ranking.ranks for name, _ in rank.parts}
        return [
            Entry(style.of(category), str(category))
            for category in Category
            if style.of(category) in used
        ]

    def _where(self, thread: Thread | None) -> str:
        if thread is None:
            return UNKNOWN
        name = self._vm_names[self._of.vms.index(thread.vm)]
        return f"{name} vCPU {UNKNOWN if thread.vcpu is None else thread.vcpu}"

    def _by_size(self) -> list[_Column]:
        return sorted(self._columns, key=lambda column: -column.total)

    def _share(self, n: int) -> str:
        return f"{100 * n / self.exits:.1f} %" if self.exits else texts.DASH

    def _figures(self, n: int, whole: int | None = None) -> tuple[str, ...]:
        """Return the share, the rate and the number."""
        of = self.exits if whole is None else whole
        share = f"{100 * n / of:.1f} %" if of else texts.DASH
        return share, rate(n / self.seconds) if self.seconds else texts.DASH, f"{n:,}"

    def _parts(self, codes: Mapping[Code, int]) -> tuple[tuple[str, float], ...]:
        parts: Counter[str] = Counter()
        for code, n in codes.items():
            parts[style.of(self._of.category(code))] += n
        return tuple((name, n) for name, n in parts.most_common() if n)

    def _ranking(self, ranks: list[Rank], prose: str) -> Ranking:
        shown, rest = ranks[:MOST_ROWS], ranks[MOST_ROWS:]
        if rest:
            parts: Counter[str] = Counter()
            for rank in rest:
                parts.update(dict(rank.parts))
            count = sum(rank.count for rank in rest)
            more = f"{len(rest)} more"
            shown.append(
                Rank(OTHERS, count, tuple(parts.most_common()), self._figures(count), more)
            )
        most = max((rank.count for rank in shown), default=0) or 1
        return Ranking(["share", "per second", "exits"], shown, most, prose)

    def _vm_totals(self) -> Counter[int]:
        return Counter({vm: codes.total() for vm, codes in self._of.vm_codes.items()})

    def _categories(self) -> list[Category]:
        return [category for category in Category if self._most(category) > 0]

    def _most(self, category: Category | None) -> float:
        return max(self._row_peaks(category), default=0.0)

    def _row_peaks(self, category: Category | None) -> list[float]:
        return self._row_peaks_of(self._of.peaks.get(category))

    def _row_peaks_of(self, peaks: Mapping[int, Sequence[float]]) -> list[float]:
        most = [0.0] * len(self._of.rows)
        for of_bin in peaks.values():
            for row, peak in enumerate(of_bin):
                most[row] = max(most[row], peak)
        return most


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


def _shares(time: VcpuTime) -> dict[str, float]:
    """Return the percentages of the states that were measured."""
    known = {state: n for state, n in attrs.asdict(time).items() if n is not None}
    whole = sum(known.values())
    return (
        {state: 100 * known[state] / whole for state in style.STATES if state in known}
        if whole
        else {}
    )
