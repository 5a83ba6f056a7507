"""Renderers: a table goes in, lines come out; :func:`renderer` makes one by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, TextIO

from kstats.render.delimited import CsvRenderer
from kstats.render.jsonlines import JsonRenderer
from kstats.render.text import TextRenderer
from kstats.table import Table


class Renderer(Protocol):
    """Writes one table after the other to the stream it was made for.

    ``carries_notes`` tells whether a table's notes are part of what it writes; where the format
    has no room for them, somebody else must show them.
    """

    carries_notes: ClassVar[bool]

    def write(self, table: Table) -> None:
        """Writes a whole report and flushes it."""


FORMATS: dict[str, Callable[[TextIO], Renderer]] = {
    "table": TextRenderer,
    "json": JsonRenderer,
    "csv": CsvRenderer,
}
"""Every output format by its name on the command line; the first is the default."""

FOR_PEOPLE = frozenset({"table"})
"""Formats that people read: they may be drawn to fit a screen."""

WITH_REASONS = frozenset({"json"})
"""Formats that can hold the reasons behind each row."""


def renderer(
    name: str, stream: TextIO, *, timestamps: bool = False, interval: float | None = None
) -> Renderer:
    """Return the renderer of a format; ``timestamps`` and ``interval`` are for people."""
    if name in FOR_PEOPLE:
        return TextRenderer(stream, timestamps=timestamps, interval=interval)
    return FORMATS[name](stream)
