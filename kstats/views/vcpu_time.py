"""``kstats exits --time``: vCPU time."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from kstats.model import Place, Sample, VcpuTime
from kstats.table import Cell, Heading, Row, Table, Unit
from kstats.views import losses
from kstats.views.exits import Key, Keys, comparable, headings, threads_needed

_NOBODY = ("", 0)

STATES = tuple(
    Heading(f"{field.name}_ns", f"{field.name}%", unit=Unit.PART)
    for field in attrs.fields(VcpuTime)
)
"""A column for each thing that a vCPU's thread does with its time."""


class VcpuTimeView:
    """A table of vCPU time with a row for each vCPU, or for each combination of axes."""

    def __init__(self, by: Sequence[str] = ("vm", "vcpu")) -> None:
        """``by`` has any of the axes of threads."""
        self._by = tuple(by)

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits."""
        return ("vcpu_time", *threads_needed(self._by))

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample; rows of several vCPUs are sums."""
        spent = sample.vcpu_time or {}
        keys = Keys(sample, self._by)
        lost = losses.counts(sample, time_dropped=sample.time_dropped)
        rows: dict[Key, list[VcpuTime | None]] = {}
        for thread in sample.threads.keys() | spent.keys():
            key = keys.of(_NOBODY, Place(-1, thread))
            rows.setdefault(key, []).append(spent.get(thread))
        ordered = sorted(rows.items(), key=lambda row: tuple(map(comparable, row[0])))
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="count",
            headings=(*headings(self._by), *STATES),
            rows=tuple(Row((*key, *_sums(threads))) for key, threads in ordered),
            key_columns=len(self._by),
            losses=lost,
            notes=(*losses.notes(sample, lost), *_unknown(sample)),
        )


def _sums(threads: Sequence[VcpuTime | None]) -> tuple[Cell, ...]:
    known = [attrs.astuple(spent) for spent in threads if spent]
    if not known:
        return (None,) * len(STATES)
    return tuple(_sum(column) for column in zip(*known, strict=True))


def _sum(column: Sequence[int | None]) -> int | None:
    known = [n for n in column if n is not None]
    return sum(known) if known else None


def _unknown(sample: Sample) -> tuple[str, ...]:
    n = len(sample.threads.keys() - (sample.vcpu_time or {}).keys())
    return (f"{n} vCPUs had no event since kstats started: their time is unknown",) if n else ()
