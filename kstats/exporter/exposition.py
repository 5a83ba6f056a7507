"""Prometheus' text formats: families of series become lines.

The formats are those of text 0.0.4 (prometheus.io, "Exposition formats") and OpenMetrics 1.0. They
differ only in the lines before the samples of a family and in the last line. A client library
takes 25 times as long for a page of 15,000 lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from sys import intern
from typing import Literal, TypeAlias, cast

import attrs

from kstats.escape import printable
from kstats.histogram import BUCKETS, Histogram, bounds

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_TOTAL = "_total"
_PIECE = 1000  # series
_LONGEST = 300
_SHARED = 2  # labels: vm and vcpu
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@attrs.frozen(eq=False)
class Family:
    """A metric.

    Attributes:
        name: Its name, as samples have it: counters end in ``_total``.
        kind: Its type.
        help: What it counts, one sentence without a full stop.
        labels: The names of its labels.
        scale: What values are divided by: 10**9 for nanoseconds that are exported as seconds.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    scale: int = 1

    def series(self, *values: str) -> Series:
        """Return a series of this family with these values of its labels."""
        pairs = tuple(zip(self.labels, values, strict=True))
        if len(pairs) <= _SHARED:
            return Series(f"{self.name}{label_set(pairs)} ", "")
        # A VM's vCPUs have thousands of series, but few different beginnings and ends.
        begin, end = label_set(pairs[:_SHARED]), label_set(pairs[_SHARED:])
        return Series(intern(f"{self.name}{begin[:-1]},"), intern(f"{end[1:]} "))

    def valued(self, value: float, *values: str) -> Series:
        """Return the same with a value."""
        series = self.series(*values)
        series.value = value
        return series

    def durations(self, *values: str) -> Durations:
        """Return a series of this family, which is a histogram of durations."""
        return Durations(self.name, tuple(zip(self.labels, values, strict=True)))


@attrs.define(eq=False)
class Series:
    """One series: the line up to its value, in two parts, and the value."""

    begin: str
    end: str
    value: float = 0


_POWERS = 11
_FIRST, _STEP = 10, 2  # 2**10 ns, then four times the one before

BOUNDS = tuple((1 << _FIRST + _STEP * i) - 1 for i in range(_POWERS))
"""Upper bounds of the buckets, in nanoseconds: 1,023 ns, 4,095 ns … 1.07 s.

Each is the largest duration in a bucket of :mod:`kstats.histogram`, and durations are whole
nanoseconds, so the counts are exact.
"""

_BUCKET_OF = tuple(sum(bounds(n)[1] > bound for bound in BOUNDS) for n in range(BUCKETS))
"""The bucket of ours, up to ``+Inf``, that contains each bucket of a histogram."""


class Durations:
    """A histogram of durations, with cumulative buckets in seconds."""

    LINES = _POWERS + 3  # +Inf, sum and count

    def __init__(self, name: str, labels: Sequence[tuple[str, str]]) -> None:
        edges = [*(repr(bound / 1e9) for bound in BOUNDS), "+Inf"]
        self._buckets = [f"{name}_bucket{label_set((*labels, ('le', le)))} " for le in edges]
        self._sum = f"{name}_sum{label_set(labels)} "
        self._count = f"{name}_count{label_set(labels)} "
        self._counts = [0] * len(edges)
        self._total = 0

    def add(self, histogram: Histogram) -> None:
        """Add durations."""
        self._total += histogram.total
        for bucket, n in histogram.buckets.items():
            self._counts[_BUCKET_OF[bucket]] += n

    def lines(self) -> Iterator[str]:
        """Yield the lines."""
        below = 0
        for prefix, n in zip(self._buckets, self._counts, strict=True):
            below += n
            yield f"{prefix}{below}\n"
        yield f"{self._sum}{self._total / 1e9!r}\n"
        yield f"{self._count}{below}\n"


Rows: TypeAlias = Sequence[Series | Durations]
"""The series of a family: of one class, by its type."""


def label_set(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as samples have them: ``{vm="web",reason="HLT"}``; empty for none."""
    pairs = [f'{name}="{_shown(value).translate(_ESCAPES)}"' for name, value in labels]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _shown(value: str) -> str:
    """Return a label's value: as it is, or escaped if it has characters that are not printable."""
    return value if value.isprintable() else printable(value, _LONGEST)


def page(families: Iterable[tuple[Family, Rows]], *, openmetrics: bool) -> str:
    """Return all families as a text; each family may occur once."""
    return "".join(pieces(families, openmetrics=openmetrics))


def pieces(families: Iterable[tuple[Family, Rows]], *, openmetrics: bool) -> Iterator[str]:
    """Yield the same in pieces, so that a large page is never in memory several times."""
    for family, rows in families:
        yield head(family, openmetrics=openmetrics)
        for at in range(0, len(rows), _PIECE):
            yield "".join(samples(family, rows[at : at + _PIECE]))
    if openmetrics:
        yield "# EOF\n"


def head(family: Family, *, openmetrics: bool) -> str:
    """Return the lines before the samples of a family."""
    counted = family.kind == "counter" and openmetrics
    name = family.name.removesuffix(_TOTAL) if counted else family.name
    return f"# HELP {name} {family.help}.\n# TYPE {name} {family.kind}\n"


def samples(family: Family, rows: Rows) -> list[str]:
    """Return the samples of a family, which are the same in both formats, as parts of a text.

    Joining the parts takes half as long as making a text of each line.
    """
    if family.kind == "histogram":
        return [line for row in cast("Sequence[Durations]", rows) for line in row.lines()]
    parts: list[str] = []
    scale = family.scale
    for series in cast("Sequence[Series]", rows):
        value = series.value if scale == 1 else series.value / scale
        parts += (series.begin, series.end, repr(value), "\n")
    return parts


def count_lines(family: Family, rows: Rows) -> int:
    """Return how many lines the samples of a family have."""
    return len(rows) * (Durations.LINES if family.kind == "histogram" else 1)
