"""The axis ``detail``: the MSR, port, address or register that exits carry."""

from __future__ import annotations

from collections.abc import Iterator

from kstats import arch as arches
from kstats.arch import details
from kstats.arch.details import Detail
from kstats.errors import UsageError
from kstats.model import Code, Exits, Place, Sample
from kstats.table import Cell

AXIS = "detail"
UNKNOWN = "?"
"""The cell of exits with a dropped detail or without one from the kernel."""


def check(kind: str) -> None:
    """Raise UsageError if exits of no ISA carry this kind of detail."""
    known = arches.detail_kinds()
    if kind not in known:
        kinds = ", ".join(f"{name} ({meaning})" for name, meaning in known.items())
        raise UsageError(f"unknown detail {kind!r}", f"details: {kinds}")


def exits(sample: Sample, kind: str | None) -> Iterator[tuple[Code, Place, Exits, Cell]]:
    """Yield exits by code and place, with the cell of the axis ``detail``.

    Without ``kind`` these are all exits and the cell is None; with it, those whose code carries
    that kind of detail.
    """
    for code, places in sample.exits.items():
        if kind is None:
            yield from ((code, place, exits, None) for place, exits in places.items())
        elif detail := carried(code, kind):
            known = sample.detail == kind
            for place, exits in places.items():
                yield code, place, exits, text(detail, place.detail if known else None)


def text(detail: Detail, number: int | None) -> str:
    """Return the cell of a detail of this kind; None is one that was dropped."""
    return UNKNOWN if number is None or number == details.UNKNOWN else detail.text(number)


def carried(code: Code, kind: str) -> Detail | None:
    """Return the detail of this kind that exits with this code carry, or None."""
    detail = arches.detail(code[0], kind)
    return detail if detail and code[1] in detail.codes else None


def losses(sample: Sample, kind: str | None) -> dict[str, int]:
    """Return the count of dropped details for a view with ``kind``; empty without a kind."""
    if kind is None:
        return {}
    if sample.detail != kind:  # not measured: notes() says so
        return {"detail_dropped": 0}
    places = (at.items() for code, at in sample.exits.items() if carried(code, kind))
    dropped = (exits.count for at in places for place, exits in at if place.detail is None)
    return {"detail_dropped": sum(dropped)}


def notes(sample: Sample, kind: str | None) -> tuple[str, ...]:
    """Return a note if the view shows details of ``kind`` and the sample has none of this kind."""
    if kind is None or kind == sample.detail:
        return ()
    return (f"this sample was taken without --detail {kind}: its details are unknown",)
