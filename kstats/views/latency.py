"""``kstats exits --latency`` and ``--histogram``: the latency of exits, by any axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.histogram import SUB_BITS, Histogram, bounds
from kstats.model import Code, Exits, Sample, count_only
from kstats.table import Cell, Heading, Row, Table, Unit
from kstats.views import details, losses
from kstats.views.exits import (
    COUNT,
    IDLE,
    OTHERS,
    Key,
    Keys,
    comparable,
    headings,
    threads_needed,
)

_NEVER = Histogram()

_PERCENTILES = (50, 90, 99)


def _nanoseconds(label: str) -> Heading:
    return Heading(f"{label}_ns", label, unit=Unit.DURATION)


TIMES = (
    _nanoseconds("total"),
    Heading("share", "share%"),
    *map(_nanoseconds, ("min", "mean", *(f"p{percent}" for percent in _PERCENTILES), "max")),
)
"""The columns after the count; ``share`` is relative to the time of all exits that are not idle."""

SORTS = tuple(h.key.removesuffix("_ns") for h in (COUNT, *TIMES) if h.key != "share")
"""The columns by which rows can be sorted, largest first."""

_LINES = 24
"""If a drawn histogram has more lines, buckets are merged."""


@attrs.frozen
class Options:
    """The options of the view.

    Attributes:
        by: The axes, in the order of the columns.
        top: At most this many rows; one more has the sum of the others.
        sort: One of :data:`SORTS` (the largest first), or of ``by`` (ascending).
        rate: Counts and totals per second of elapsed time.
        detail: Only exits that carry this kind of detail, with ``detail`` as one more axis.
    """

    by: tuple[str, ...] = ("vm", "vcpu", "reason")
    top: int | None = None
    sort: str = "total"
    rate: bool = False
    detail: str | None = None

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits."""
        kind = self.detail
        return (
            *((f"{kind} details", f"{kind} latency") if kind else ("latency",)),
            *threads_needed(self.by),
        )


@attrs.frozen(eq=False)
class Measured:
    """The exits of a sample by the values of some axes, with idle exits separate."""

    busy: Mapping[Key, Exits]
    idle: Exits

    @classmethod
    def of(cls, sample: Sample, by: tuple[str, ...], detail: str | None = None) -> Measured:
        """Return the exits of a sample; with ``detail``, those that carry this kind of detail."""
        keys = Keys(sample, by)
        busy: dict[Key, Exits] = {}
        idle = Exits()
        for code, place, exits, cell in details.exits(sample, detail):
            if is_idle(code):
                idle += exits
            elif exits.count or exits.latency:
                key = keys.of(code, place, cell)
                busy[key] = busy.get(key, count_only(0)) + exits
        for cpu, n in {}.items() if detail else sample.code_dropped.items():
            key = keys.of_cpu(cpu)
            busy[key] = busy.get(key, count_only(0)) + Exits(n)
        return cls(busy, idle)


def _cells(exits: Exits, whole: int | None, scale: float) -> tuple[Cell, ...]:
    """Return the cells from the count on; shares are relative to ``whole`` nanoseconds."""
    latency = exits.latency or _NEVER
    total = latency.total if scale == 1 else latency.total * scale
    share = 100 * latency.total / whole if whole else None
    mean = None if latency.mean is None else round(latency.mean)
    percentiles = [latency.percentile(percent) for percent in _PERCENTILES]
    count = exits.count if scale == 1 else exits.count * scale
    if mean is None:
        return count, 0, share, *[None] * (len(TIMES) - 2)
    return count, total, share, latency.minimum, mean, *percentiles, latency.maximum


def is_idle(code: Code) -> bool:
    """Return whether exits with this code mean that the guest is idle."""
    return arches.reason(*code).category is Category.IDLE


class LatencyView:
    """The latency of exits, with a row for each combination of the axes' values that occurred."""

    def __init__(self, options: Options | None = None) -> None:
        """By default, show reasons by VM and vCPU."""
        self._options = options or Options()

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits."""
        return self._options.requires

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample. Its rows sum to all counted exits."""
        by = self._options.by
        measured = Measured.of(sample, by, self._options.detail)
        whole = sum(exits.latency.total for exits in measured.busy.values() if exits.latency)
        scale = 1 / sample.elapsed if self._options.rate and sample.elapsed else 1
        rows = [
            Row((*key, *_cells(exits, whole, scale)))
            for key, exits in _shown(measured.busy, self._options)
        ]
        if measured.idle != Exits():
            rows.append(Row((*_named(IDLE, by), *_cells(measured.idle, None, scale))))
        lost = _losses(sample, self._options.detail)
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if self._options.rate else "count",
            headings=(*headings(by), COUNT, *TIMES),
            rows=tuple(rows),
            key_columns=len(by),
            losses=lost,
            notes=(*losses.notes(sample, lost), *details.notes(sample, self._options.detail)),
        )


def _named(name: str, by: tuple[str, ...]) -> Key:
    return (name, *[None] * (len(by) - 1))


def _shown(busy: Mapping[Key, Exits], options: Options) -> list[tuple[Key, Exits]]:
    """Return the rows in their order, followed by one with the sum of the omitted ones."""
    ordered = _ordered(busy, options)
    shown, hidden = ordered[: options.top], ordered[options.top or len(ordered) :]
    if hidden:
        rest = sum((exits for _, exits in hidden), Exits())
        shown.append((_named(OTHERS, options.by), rest))
    return shown


def _ordered(busy: Mapping[Key, Exits], options: Options) -> list[tuple[Key, Exits]]:
    if options.sort in options.by:
        at = options.by.index(options.sort)
        ordered = _ordered(busy, attrs.evolve(options, sort="total"))
        return sorted(ordered, key=lambda row: comparable(row[0][at]))
    column = [h.key.removesuffix("_ns") for h in (COUNT, *TIMES)].index(options.sort)

    def rank(row: tuple[Key, Exits]) -> tuple[float, tuple[tuple[bool, float, str], ...]]:
        value = _cells(row[1], None, 1)[column]
        largest_first = -value if isinstance(value, int | float) else 0
        return largest_first, tuple(map(comparable, row[0]))

    return sorted(busy.items(), key=rank)


def _losses(sample: Sample, detail: str | None) -> losses.Losses:
    more = details.losses(sample, detail)
    return losses.counts(sample, **more, latency_dropped=sample.latency_dropped)


class HistogramView:
    """Histograms of latency: a row for each bucket of each row of :class:`LatencyView`."""

    def __init__(self, options: Options | None = None, *, bars: int = 0) -> None:
        """With ``bars``, merge buckets to fit a screen and draw bars of at most this width."""
        self._options = options or Options()
        self._bars = bars

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits."""
        return self._options.requires

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample; idle exits come last."""
        by = self._options.by
        measured = Measured.of(sample, by, self._options.detail)
        shown = _shown(measured.busy, self._options)
        shown.append((_named(IDLE, by), measured.idle))
        scale = 1 / sample.elapsed if self._options.rate and sample.elapsed else 1
        lost = _losses(sample, self._options.detail)
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if self._options.rate else "count",
            headings=(*headings(by), *self._headings()),
            rows=tuple(
                Row((*key, *cells)) for key, exits in shown for cells in self._cells(exits, scale)
            ),
            key_columns=len(by),
            losses=lost,
            notes=(*losses.notes(sample, lost), *details.notes(sample, self._options.detail)),
        )

    def _headings(self) -> tuple[Heading, ...]:
        bar = (Heading("bar", "", left=True),) if self._bars else ()
        return (*map(_nanoseconds, ("from", "to")), COUNT, *bar)

    def _cells(self, exits: Exits, scale: float) -> Iterator[tuple[Cell, ...]]:
        latency = exits.latency or _NEVER
        if not self._bars:
            for bucket, n in sorted(latency.buckets.items()):
                yield *bounds(bucket), n if scale == 1 else n * scale
            return
        lines = _lines(latency)
        most = max((n for _, _, n in lines), default=1)
        for low, high, n in lines:
            bar = "#" * max(round(self._bars * n / most), 1 if n else 0)
            yield low, high, n if scale == 1 else n * scale, bar


def _lines(latency: Histogram) -> list[tuple[int, int, int]]:
    """Return (from, to, count) without gaps; neighbours are merged until they fit a screen."""
    for merged in range(SUB_BITS + 1):
        counts: Counter[int] = Counter()
        for bucket, n in latency.buckets.items():
            counts[bucket >> merged] += n
        if not counts or max(counts) - min(counts) < _LINES or merged == SUB_BITS:
            break
    first, last = min(counts, default=0), max(counts, default=-1)
    return [
        (bounds(i << merged)[0], bounds((i + 1 << merged) - 1)[1] + 1, counts[i])
        for i in range(first, last + 1)
    ]
