"""JSON Lines: one object for each report; the schema is kstats/render/report.schema.json."""

from __future__ import annotations

from typing import Any, ClassVar, TextIO

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK
from kstats.escape import json_line
from kstats.table import ReasonCount, Row, Table


class JsonRenderer:
    """Writes one JSON object per line."""

    carries_notes: ClassVar[bool] = True

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``, which is flushed after every report."""
        self._stream = stream

    def write(self, table: Table) -> None:
        """Write ``table`` as one line."""
        self._stream.write(json_line(as_object(table)))
        self._stream.flush()


def as_object(table: Table) -> dict[str, Any]:
    """Return ``table`` as the object that the schema describes."""
    report: dict[str, Any] = {
        "time": table.timestamp or None,
        "elapsed": round(table.elapsed, 6),
        "arch": table.arch,
        "unit": table.unit,
        "rows": [_row(table, row) for row in table.rows],
    }
    if table.total:
        total = _row(table, table.total)
        for heading in table.headings[: table.key_columns]:  # a total has none
            del total[heading.key]
        report["total"] = total
    overhead = {} if table.overhead is None else {"overhead": dict(table.overhead)}
    return report | dict(table.losses) | overhead | {"notes": list(table.notes)}


def _row(table: Table, row: Row) -> dict[str, Any]:
    keys = (heading.key for heading in table.headings)
    cells = dict(zip(keys, map(_rounded, row.cells), strict=True))
    return cells | ({"exits": [_exit(r) for r in row.exits]} if table.by_reason else {})


def _exit(reason: ReasonCount) -> dict[str, Any]:
    return {
        "isa": reason.isa,
        "code": reason.code & NUMBER_MASK,
        "qualifier": reason.code >> NUMBER_BITS,
        "reason": reason.reason,
        "count": _rounded(reason.count),
    }


def _rounded(cell: Any) -> Any:
    return round(cell, 3) if isinstance(cell, float) else cell
