"""Exits by what more they tell: which register, which port, which address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from kstats import arch as arches
from kstats.arch.details import UNKNOWN, Detail
from kstats.errors import UsageError
from kstats.histogram import Histogram
from kstats.model import Code, DetailPlace, Place, Sample
from kstats.table import Cell

AXIS = "detail"
UNKNOWN_CELL = "?"
"""The cell of an exit whose detail was not told, or had no room."""


def check(kind: str) -> None:
    """Raises UsageError if exits of no ISA have this kind of detail."""
    known = arches.detail_kinds()
    if kind not in known:
        kinds = ", ".join(f"{name} ({meaning})" for name, meaning in known.items())
        raise UsageError(f"there is no detail {kind!r}", f"details: {kinds}")


def exits(sample: Sample, kind: str) -> Iterator[tuple[Code, Mapping[tuple[Place, Cell], int]]]:
    """Of each code that tells ``kind``, the exits by place and by what they told."""
    for code, places in sample.exits.items():
        detail = _telling(code, kind)
        if detail is None:
            continue
        counts: Counter[tuple[Place, Cell]] = Counter()
        rest = Counter(places)
        for (cpu, thread, number), n in _counts(sample, kind, code).items():
            counts[(cpu, thread), _text(detail, number)] += n
            rest[cpu, thread] -= n
        counts.update({(place, UNKNOWN_CELL): n for place, n in rest.items()})
        yield code, +counts  # without zeros


def latencies(
    sample: Sample, kind: str
) -> Iterator[tuple[Code, Mapping[tuple[Place, Cell], Histogram]]]:
    """Of each code that tells ``kind``, how long exits took by place and by what they told."""
    for code, places in sample.detail_latency.get(kind, {}).items():
        if detail := _telling(code, kind):
            found: dict[tuple[Place, Cell], Histogram] = {}
            for (cpu, thread, number), latency in places.items():
                key = (cpu, thread), _text(detail, number)
                found[key] = found.get(key, Histogram()) + latency
            yield code, found


def _text(detail: Detail, number: int) -> str:
    return UNKNOWN_CELL if number == UNKNOWN else detail.text(number)


def _telling(code: Code, kind: str) -> Detail | None:
    """What exits of this code tell of that kind, if they do."""
    detail = arches.detail(code[0], kind)
    return detail if detail and code[1] in detail.codes else None


def _counts(sample: Sample, kind: str, code: Code) -> Mapping[DetailPlace, int]:
    return sample.details.get(kind, {}).get(code, {})


def losses(sample: Sample, kind: str | None) -> dict[str, int]:
    """Return ``detail_dropped`` of a view that shows details of ``kind``; empty without one."""
    if kind is None:
        return {}
    if kind not in sample.details:  # not measured: notes() says so
        return {"detail_dropped": 0}
    codes = [code for code in sample.exits if _telling(code, kind)]
    counted = sum(sum(sample.exits[code].values()) for code in codes)
    kept = sum(sum(_counts(sample, kind, code).values()) for code in codes)
    return {"detail_dropped": counted - kept}


def notes(sample: Sample, kind: str | None) -> tuple[str, ...]:
    """Return a line if the view shows details of ``kind`` and the sample has none of that kind."""
    if kind is None or kind in sample.details:
        return ()
    return (f"this sample was taken without --detail {kind}: its details are unknown",)
