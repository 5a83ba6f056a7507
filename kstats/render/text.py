"""Text for people: aligned columns; on a terminal, the header is repeated like in vmstat."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import ClassVar, TextIO

from kstats.columns import aligned, widest
from kstats.durations import duration
from kstats.escape import printable, printable_note
from kstats.table import Cell, Heading, Row, Table, Unit
from kstats.units import figure

_TOLERANCE, _SLACK = 0.2, 0.1
"""Part of the interval, and seconds, by which a report may be off without a word."""

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class TextRenderer:
    """Writes aligned tables.

    The header is written first, when the columns change, and on a terminal before it would scroll
    off the screen. Columns never get narrower, so that the columns of reports stay aligned.
    """

    carries_notes: ClassVar[bool] = True

    def __init__(
        self, stream: TextIO, *, timestamps: bool = False, interval: float | None = None
    ) -> None:
        """With ``timestamps``, write a line with the UTC time before each report.

        With ``interval``, add a note to a report on a much longer or shorter time.
        """
        self._stream = stream
        self._timestamps = timestamps
        self._interval = interval
        self._terminal = stream.isatty()
        self._colour = self._terminal and _wants_colour()
        self._headings: tuple[Heading, ...] = ()
        self._rows: list[Row] = []
        self._last: list[str] = []
        self._names: list[str] = []
        self._widths: list[int] = []
        self._lines_left = 0

    def write(self, table: Table) -> None:
        """Write one report."""
        rows = [*table.rows, *((table.total,) if table.total else ())]
        header_line, *lines = self._laid_out(table.headings, rows, table.elapsed)
        header = [*(["per second"] if table.unit == "per_second" else []), header_line]
        out = [table.timestamp] if self._timestamps and table.timestamp else []
        notes = [*table.notes, *self._odd_length(table)]
        if self._header_is_due(len(header), len(lines) + len(out) + len(notes)):
            out += [f"{_BOLD}{line}{_RESET}" if self._colour else line for line in header]
        if self._colour:
            amounts = [row.cells[table.key_columns :] for row in rows]
            lines = [_dimmed(*line) for line in zip(lines, amounts, strict=True)]
        out += lines
        out += [f"# {printable_note(note)}" for note in notes]
        self._stream.write("".join(f"{line}\n" for line in out))
        self._stream.flush()

    def _laid_out(
        self, headings: tuple[Heading, ...], rows: list[Row], elapsed: float
    ) -> list[str]:
        """Return the header and a line for each row; on an idle host, those of the last report."""
        if headings != self._headings:
            self._headings, self._names = headings, heading_texts(headings)
            self._widths, self._lines_left = [len(name) for name in self._names], 0
            self._last = []
        depends = any(heading.unit is Unit.PART for heading in headings)
        if not self._last or rows != self._rows or depends:
            names = self._names
            columns = zip(*(row.cells for row in rows), strict=True) if rows else [()] * len(names)
            texts = [
                _texts(heading, name, elapsed, cells)
                for heading, name, cells in zip(headings, names, columns, strict=True)
            ]
            self._rows, self._last = rows, self._lines(texts)
        return self._last

    def _lines(self, texts: list[list[str]]) -> list[str]:
        """Return the header and a line for each row, aligned with the widest cells so far.

        ``texts`` are the cells of each column.
        """
        for at, column in enumerate(texts):
            self._widths[at] = max(self._widths[at], widest(column))
        placed = [
            _placed(heading, [name, *column], columns)
            for heading, name, column, columns in zip(
                self._headings, self._names, texts, self._widths, strict=True
            )
        ]
        return [" ".join(line).rstrip() for line in zip(*placed, strict=True)]

    def _odd_length(self, table: Table) -> list[str]:
        wanted = self._interval or table.elapsed
        if abs(table.elapsed - wanted) <= max(wanted * _TOLERANCE, _SLACK):
            return []
        return [f"this report covers {table.elapsed:.3g} seconds, not {wanted:g}"]

    def _header_is_due(self, height: int, lines: int) -> bool:
        """Return whether a header must come before these lines; off a terminal, it comes once."""
        if self._lines_left > lines or (self._lines_left and not self._terminal):
            self._lines_left -= lines if self._terminal else 0
            return False
        self._lines_left = max(self._screen_height() - height - lines, 1)
        return True

    def _screen_height(self) -> int:
        if not self._terminal:
            return 1
        import shutil  # noqa: PLC0415 - loads three compression libraries

        return shutil.get_terminal_size().lines


def _dimmed(line: str, amounts: Sequence[Cell]) -> str:
    idle = not any(isinstance(cell, int | float) and cell for cell in amounts)
    return f"{_DIM}{line}{_RESET}" if idle else line


def _placed(heading: Heading, cells: list[str], columns: int) -> list[str]:
    placed = aligned(cells, columns, left=heading.left)
    return [f"{heading.after} {cell}" for cell in placed] if heading.after else placed


def heading_texts(headings: Iterable[Heading]) -> list[str]:
    """Return the text above each column; neighbours in a group share it: ``msr(rd``, ``wr)``."""
    around = [Heading("", ""), *headings, Heading("", "")]
    texts = []
    for (before, heading), (_, after) in zip(
        pairwise(around[:-1]), pairwise(around[1:]), strict=True
    ):
        opens = heading.group if heading.group != before.group else ""
        closes = heading.group and heading.group != after.group
        texts.append((f"{opens}(" if opens else "") + heading.label + (")" if closes else ""))
    return texts


def _texts(heading: Heading, name: str, elapsed: float, cells: Sequence[Cell]) -> list[str]:
    """Return the texts of the cells of the column with the heading text ``name``."""
    write = _writer(heading, name, elapsed)
    if not {*map(type, cells)} <= {int}:
        return [*map(write, cells)]
    # The usual case, of a million cells in large tables: whole numbers that fit, or come again.
    texts = [*map(str, cells)]
    if heading.unit is Unit.COUNT and widest(texts) > _room(heading, name):
        known = {cell: write(cell) for cell in {*cells}}
        return [known[cell] for cell in cells]
    return texts if heading.unit in (Unit.COUNT, Unit.PLAIN) else [*map(write, cells)]


def _room(heading: Heading, name: str) -> int:
    """Return the width that a count may have."""
    return max(heading.width, len(name))


def _writer(heading: Heading, name: str, elapsed: float) -> Callable[[Cell], str]:
    """Return the function that formats the cells of the column with the heading text ``name``."""
    if heading.unit is Unit.COUNT:
        most = _room(heading, name)
        return lambda cell: figure(cell, most) if isinstance(cell, int | float) else _text(cell)
    if heading.unit is Unit.DURATION:
        return lambda cell: duration(cell) if isinstance(cell, int | float) else _text(cell)
    if heading.unit is Unit.PART:
        whole = elapsed * 1e9 or 1
        return lambda cell: _text(100 * cell / whole if isinstance(cell, int | float) else cell)
    return _text


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return printable(cell)
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def _wants_colour() -> bool:
    # https://no-color.org: any value but the empty one turns colour off.
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")
