"""A recording as OpenMetrics with time stamps, for engines to import.

The text has the metrics that the exporter would have exported. OpenMetrics wants all points of a
series together, so they are held until the end: eight bytes each.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator

import attrs

from kstats.exporter import families as f
from kstats.exporter.exposition import Family, Rows, head, label_set, samples
from kstats.exporter.feed import About
from kstats.exporter.metrics import Metrics
from kstats.exporter.settings import Settings
from kstats.model import Sample

ABSENT = math.nan


class Backfill:
    """The points of all series at the ends of samples.

    A counter begins with a zero at the beginning of the sample in which it appears, so that
    ``rate`` and ``increase`` see its first counts.
    """

    def __init__(self, settings: Settings, about: About, labels: Iterable[tuple[str, str]]) -> None:
        """``labels`` are added to every series, as Prometheus adds ``instance`` and ``job``."""
        self._metrics = Metrics(settings)
        self._info = f.BUILD_INFO.valued(1, *attrs.astuple(about))
        self._labels = label_set(labels)[1:-1]
        self._times = array("d")
        self._points: dict[Family, dict[str, list[array[float]]]] = {}
        self._prefixes: dict[tuple[Family, str], tuple[str, ...]] = {}

    def add(self, sample: Sample) -> None:
        """Add a sample; samples must come in order."""
        if not self._times:
            self._times.append(round(sample.time - sample.elapsed, 3))
        self._times.append(round(sample.time, 3))
        self._metrics.add(sample, sample.time)
        for family, rows in self._families():
            for row in rows:
                self._add_row(family, "".join(samples(family, [row])))

    def lines(self) -> Iterator[str]:
        """Yield the text in parts."""
        for family, rows in self._points.items():
            yield head(family, openmetrics=True)
            for name, points in rows.items():
                prefixes = [self._labelled(text) for text in self._prefixes[family, name]]
                for i, time in enumerate(self._times):
                    yield from (
                        f"{prefix}{_number(values[i])} {time!r}\n"
                        for prefix, values in zip(prefixes, points, strict=True)
                        if i < len(values) and not math.isnan(values[i])
                    )
        yield "# EOF\n"

    def _families(self) -> Iterator[tuple[Family, Rows]]:
        yield from self._metrics.families()
        yield f.BUILD_INFO, [self._info]
        yield f.UP, [f.UP.valued(1)]

    def _add_row(self, family: Family, text: str) -> None:
        """Add the values of a series now; of a histogram, those of all its lines."""
        lines = [line.rpartition(" ") for line in text.splitlines()]
        values = [float(value) for _, _, value in lines]
        name = lines[0][0]
        points = self._points.setdefault(family, {}).get(name)
        if points is None:
            points = self._points[family][name] = [array("d") for _ in lines]
            self._prefixes[family, name] = tuple(f"{prefix} " for prefix, _, _ in lines)
        now = len(self._times) - 1
        for known, value in zip(points, values, strict=True):
            if len(known) < now:
                first = 0.0 if family.kind != "gauge" else value if now == 1 else ABSENT
                known.extend([ABSENT] * (now - 1 - len(known)))
                known.append(first)
            known.append(value)

    def _labelled(self, prefix: str) -> str:
        """Return a prefix with the additional labels."""
        if not self._labels:
            return prefix
        name, brace, rest = prefix.rstrip(" ").partition("{")
        return f"{name}{{{self._labels},{rest} " if brace else f"{name}{{{self._labels}}} "


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
