"""Renderers: a table goes in, lines come out. ``renderer`` finds one by its name."""

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
"""Every output format by its name on the command line."""
