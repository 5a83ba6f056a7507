"""The result of a view, independent of the output format."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import attrs

Cell: TypeAlias = int | float | str | None
"""A number, a word, or None if there is no value (shown as ``-``)."""


class Unit(enum.StrEnum):
    """How a table on the screen shows the numbers of a column; JSON and CSV have them in full."""

    PLAIN = ""
    COUNT = "count"
    """Counts: ``12.3M`` if the number is wider than its column."""
    DURATION = "duration"
    """Nanoseconds; ``1.25ms`` on the screen."""
    PART = "part"
    """Nanoseconds; on the screen, as a percentage of the elapsed time."""


class Heading(NamedTuple):
    """A column heading: ``key`` in JSON and CSV; ``label`` on the screen, below its ``group``.

    Columns of words are ``left``-aligned. ``after`` is a separator that the screen shows in every
    line between this column and the one before, such as ``|``. ``unit`` is the format of numbers
    on the screen. A count may be as wide as the label or ``width``, whichever is larger.
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
    """Exits with one reason; ``code`` is the full code, ``count`` in the unit of the table."""

    isa: str
    code: int
    reason: str
    count: int | float


class Row(NamedTuple):
    """Cells in the order of the headings, and the exits behind them by reason, if requested."""

    cells: tuple[Cell, ...]
    exits: tuple[ReasonCount, ...] = ()


class Table(NamedTuple):
    """One report.

    Attributes:
        timestamp: End of the sample, UTC ISO 8601.
        elapsed: Duration of the sample in seconds.
        arch: Architecture of the host.
        unit: ``count``, or ``per_second``.
        headings: The headings of the cells of every row.
        rows: The rows in the order in which they are shown.
        names: The number of leading cells that identify a row.
        total: The sum of the rows, if requested.
        by_reason: Whether rows are sums over reasons, so that ``Row.exits`` can hold the parts.
        losses: Incompletely counted exits: (JSON key, count) of each kind of loss.
        notes: Remarks on this report, one line each.
        overhead: What kstats itself costs the host, as in JSON; None unless requested.
    """

    timestamp: str
    elapsed: float
    arch: str
    unit: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    key_columns: int = 1
    total: Row | None = None
    by_reason: bool = False
    losses: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    overhead: Mapping[str, Any] | None = None
