"""CSV: a line per row, with the time of the report; a new header when the columns change."""

from __future__ import annotations

import csv
from typing import ClassVar, TextIO

from kstats.escape import inert
from kstats.table import Cell, Table


class CsvRenderer:
    """Writes comma-separated lines."""

    carries_notes: ClassVar[bool] = False

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``, which is flushed after every report."""
        self._stream = stream
        self._writer = csv.writer(stream, lineterminator="\n")
        self._header: list[str] = []

    def write(self, table: Table) -> None:
        """Write the rows of ``table``, the total last."""
        header = ["time", "elapsed", *(inert(heading.key) for heading in table.headings)]
        if header != self._header:
            self._writer.writerow(header)
            self._header = header
        for row in (*table.rows, *((table.total,) if table.total else ())):
            cells = [_plain(cell) for cell in row.cells]
            self._writer.writerow([table.timestamp, f"{table.elapsed:.6f}", *cells])
        self._stream.flush()


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return round(cell, 3)
    return inert(cell) if isinstance(cell, str) else cell
