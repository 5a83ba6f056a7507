"""A view's result, before anybody decides how it is written."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

Cell: TypeAlias = int | float | str | None
"""A number, a word, or None where there is nothing to say (drawn as ``-``)."""


class Unit(enum.StrEnum):
    """How text for people shows the numbers of a column; JSON and CSV always have them in full."""

    PLAIN = ""
    COUNT = "count"
    """Counts: ``12.3M`` where a number would outgrow its column."""
    DURATION = "duration"
    """Nanoseconds: ``1.25ms`` on the screen."""
    PART = "part"
    """Nanoseconds: the per cent that they are of the table's seconds, on the screen."""


@attrs.frozen
class Heading:
    """``key`` in JSON and CSV; ``label`` on the screen, drawn as part of its ``group`` if any.

    Columns of words are ``left``-aligned. ``after`` is a sign that the screen has between this
    column and the one before, in every line: ``|``. ``unit`` says how the screen writes numbers.
    A count may be as wide as the label, and as ``width``.
    """

    key: str
    label: str
    group: str = ""
    left: bool = False
    after: str = ""
    unit: Unit = Unit.PLAIN
    width: int = 4


@attrs.frozen
class ReasonCount:
    """How often one reason occurred; ``code`` is the raw one, ``count`` in the table's unit."""

    isa: str
    code: int
    reason: str
    count: int | float


@attrs.frozen
class Row:
    """Cells in the order of the headings, and the reasons behind them if they were asked for."""

    cells: tuple[Cell, ...]
    exits: tuple[ReasonCount, ...] = ()


@attrs.frozen(eq=False)
class Table:
    """One report.

    Attributes:
        timestamp: End of the sample, UTC ISO 8601.
        elapsed: Seconds that the sample took.
        arch: Architecture of the host.
        unit: ``count``, or ``per_second``.
        headings: What the cells of every row are.
        rows: In the order to show.
        names: How many cells, from the first on, say whose row it is.
        total: The sum of the rows, where it was asked for.
        by_reason: Whether rows are sums over reasons, which ``Row.exits`` can hold.
        losses: Exits that are not counted completely: (JSON key, count) of each kind of loss.
        notes: What people should know about this report, a line each.
        overhead: What kstats itself costs the host, as in JSON; None unless it was asked for.
    """

    timestamp: str
    elapsed: float
    arch: str
    unit: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    names: int = 1
    total: Row | None = None
    by_reason: bool = False
    losses: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    overhead: Mapping[str, Any] | None = None
