"""Figures in rows, with their budgets: for people as text, for programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from tabulate import tabulate

Cell = str | float | int | None

EXACT = 0.02
"""The spread of figures that count instructions or bytes."""

TIMED = 0.3
"""The spread of figures that are times on this machine."""


@attrs.frozen
class Budget:
    """The most that something may take; what is not known is above that."""

    where: str
    what: str
    most: float
    found: float | None

    @property
    def holds(self) -> bool:
        """Whether it does not take more."""
        return self.found is not None and self.found <= self.most

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "BROKEN"
        found = "not known" if self.found is None else _figure(self.found)
        return f"{self.where}: {self.what}: {found} of {_figure(self.most)}: {verdict}"

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        return {**attrs.asdict(self), "holds": self.holds}


@attrs.frozen
class Table:
    """Rows under headings; a figure without a unit in its row has it in the title.

    ``failures`` are what should have been a row. Figures of two runs of the same version on the
    same machine differ by the share ``spread``, or by ``noise`` if that is more.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    failures: Sequence[str] = ()
    budgets: Sequence[Budget] = ()
    spread: float = EXACT
    noise: float = 0

    def text(self) -> str:
        """For people."""
        cells = [[_text(cell) for cell in row] for row in self.rows]
        align = ("left", *["right"] * (len(self.headings) - 1))
        drawn = tabulate(cells, self.headings, "plain", colalign=align, disable_numparse=True)
        failed = [f"FAILED: {failure}" for failure in self.failures]
        return "\n".join([self.title, "", drawn, *failed, *map(str, self.budgets)])

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        return {
            "title": self.title,
            "spread": self.spread,
            "noise": self.noise,
            "headings": list(self.headings),
            "rows": [
                [round(cell, 2) if isinstance(cell, float) else cell for cell in row]
                for row in self.rows
            ],
            "failures": list(self.failures),
            "budgets": [budget.as_object() for budget in self.budgets],
        }

    @property
    def holds(self) -> bool:
        """Whether everything was measured, and every budget holds."""
        return not self.failures and all(budget.holds for budget in self.budgets)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return str(cell) if isinstance(cell, str | int) else _figure(cell)


def _figure(figure: float) -> str:
    if abs(figure) >= 100:
        return f"{figure:.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"
