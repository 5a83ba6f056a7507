"""Folded stacks, one per line, as flame graphs take them: ``web;vcpu 0;io;IO_INSTRUCTION 4321``."""

from __future__ import annotations

from typing import ClassVar, TextIO

from kstats.errors import UsageError
from kstats.escape import printable
from kstats.table import Cell, Heading, Row, Table

_WEIGHTS = ("total_ns", "count")
"""What a stack weighs, best first: time if it was measured, else exits."""

_COUNT = "count"
"""The column after the axes."""


class FoldedRenderer:
    """Writes a line for each row: the values of its axes, and its exits or their time."""

    carries_notes: ClassVar[bool] = False

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``, which is flushed after every report."""
        self._stream = stream

    def write(self, table: Table) -> None:
        """Write the rows of ``table``; raise UsageError if they do not count exits by axes."""
        keys = [heading.key for heading in table.headings]
        if _COUNT not in keys:
            raise UsageError("this view has no stacks to fold", "use kstats exits -f folded")
        axes = keys.index(_COUNT)
        weight = next(keys.index(name) for name in _WEIGHTS if name in keys)
        for row in table.rows:
            if value := row.cells[weight]:
                stack = ";".join(_frames(table.headings[:axes], row))
                self._stream.write(f"{stack} {_number(value)}\n")
        self._stream.flush()


def _frames(headings: tuple[Heading, ...], row: Row) -> list[str]:
    cells = zip(headings, row.cells, strict=False)
    return [_frame(heading, cell) for heading, cell in cells if cell is not None]


def _frame(heading: Heading, cell: Cell) -> str:
    """Return a cell; numbers need the name of their axis, and semicolons separate frames."""
    if isinstance(cell, str) and heading.left:
        return printable(cell).replace(";", ",")
    return f"{heading.label} {cell}"


def _number(value: Cell) -> Cell:
    return round(value, 3) if isinstance(value, float) else value
