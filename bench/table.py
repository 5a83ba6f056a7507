"""Figures in rows: for people as text, for programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from tabulate import tabulate

Cell = str | float | int | None


@attrs.frozen
class Table:
    """Rows under headings; a figure without a unit in its row has it in the title.

    ``failures`` are what should have been a row.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    failures: Sequence[str] = ()

    def text(self) -> str:
        """For people."""
        cells = [[_text(cell) for cell in row] for row in self.rows]
        align = ("left", *["right"] * (len(self.headings) - 1))
        drawn = tabulate(cells, self.headings, "plain", colalign=align, disable_numparse=True)
        failed = "".join(f"FAILED: {failure}\n" for failure in self.failures)
        return f"{self.title}\n\n{drawn}\n{failed}"

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        rows = [dict(zip(self.headings, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "failures": list(self.failures)}


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str | int):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}"
