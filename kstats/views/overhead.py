"""Add what kstats itself costs the host to the tables of any view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from kstats.model import Overhead, Sample
from kstats.table import Table
from kstats.views import View


class OverheadView:
    """Another view, with the overhead added: as a note for people, as an object in JSON."""

    def __init__(self, view: View, latest: Callable[[], Overhead]) -> None:
        """``latest`` returns the overhead that belongs to the next sample."""
        self._view = view
        self._latest = latest

    def table(self, sample: Sample) -> Table:
        """Return the view's table of one sample with the overhead added."""
        table, overhead = self._view.table(sample), self._latest()
        losses = dict(table.losses)
        notes = (*table.notes, note(overhead, losses["code_dropped"], losses["missed"]))
        return table._replace(notes=notes, overhead=as_object(overhead))


def note(overhead: Overhead, code_dropped: int, missed: int) -> str:
    """Return the overhead as one line."""
    maps = ", ".join(f"{name} {map_.used}/{map_.size}" for name, map_ in overhead.maps.items())
    exits = "no exit was timed"
    if overhead.ns_per_exit is not None:
        exits = f"{overhead.ns_per_exit:.0f} ns per exit ({overhead.timed} timed)"
    return (
        f"overhead: {exits}, {overhead.cpu_share:.3f} % of all CPUs; kstats process"
        f" {overhead.process_share:.1f} % of one CPU; maps used: {maps};"
        f" code_dropped {code_dropped}, missed {missed}"
    )


def as_object(overhead: Overhead) -> dict[str, Any]:
    """Return the overhead as the JSON schema describes it; losses have their own keys."""
    return {
        "ns_per_exit": None if overhead.ns_per_exit is None else round(overhead.ns_per_exit, 1),
        "timed": overhead.timed,
        "cpu_share": round(overhead.cpu_share, 6),
        "process_share": round(overhead.process_share, 3),
        "maps": {name: attrs.asdict(map_) for name, map_ in overhead.maps.items()},
    }
