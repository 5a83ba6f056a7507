"""What counting itself took, behind the report of any view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from kstats.model import Cost, Sample
from kstats.table import Table
from kstats.views import View, losses


class CostView:
    """Adds to the tables of ``view`` what counting took: a note for people, figures for JSON."""

    def __init__(self, view: View, latest: Callable[[], Cost]) -> None:
        """``latest`` tells the cost of counting in the sample that is turned next."""
        self._view = view
        self._latest = latest

    def table(self, sample: Sample) -> Table:
        """The report on one sample."""
        table, cost = self._view.table(sample), self._latest()
        lost = dict(losses.figures(sample))
        notes = (*table.notes, note(cost, lost["lost"], lost["missed"]))
        return attrs.evolve(table, notes=notes, cost=figures(cost))


def note(cost: Cost, lost: int, missed: int) -> str:
    """A line for people."""
    maps = ", ".join(f"{name} {fill.taken}/{fill.places}" for name, fill in cost.maps.items())
    exits = "no exit was timed"
    if cost.ns_per_exit is not None:
        exits = f"{cost.ns_per_exit:.0f} ns an exit ({cost.timed} timed)"
    return (
        f"cost: {exits}, {cost.cpu_share:.3f} % of all CPUs; kstats itself"
        f" {cost.process_share:.1f} % of one; places {maps}; lost {lost}, missed {missed}"
    )


def figures(cost: Cost) -> dict[str, Any]:
    """The same for programs; what was lost has its own place in a report."""
    return {
        "ns_per_exit": None if cost.ns_per_exit is None else round(cost.ns_per_exit, 1),
        "timed": cost.timed,
        "cpu_share": round(cost.cpu_share, 6),
        "process_share": round(cost.process_share, 3),
        "maps": {name: attrs.asdict(fill) for name, fill in cost.maps.items()},
    }
