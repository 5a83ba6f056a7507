"""Renderers write tables to a stream; :func:`renderer` returns one by its name.

Each is imported when it is used: a command uses one of them, and its parser only their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol, TextIO

if TYPE_CHECKING:
    from kstats.table import Table


class Renderer(Protocol):
    """Writes tables to a stream.

    ``carries_notes`` is whether the output includes the notes of a table; if the format cannot
    include them, the caller must show them.
    """

    carries_notes: ClassVar[bool]

    def write(self, table: Table) -> None:
        """Write a whole report and flush the stream."""


def _text(stream: TextIO, *, timestamps: bool = False, interval: float | None = None) -> Renderer:
    from kstats.render.text import TextRenderer  # noqa: PLC0415 - see above

    return TextRenderer(stream, timestamps=timestamps, interval=interval)


def _json(stream: TextIO) -> Renderer:
    from kstats.render.jsonlines import JsonRenderer  # noqa: PLC0415 - see above

    return JsonRenderer(stream)


def _csv(stream: TextIO) -> Renderer:
    from kstats.render.delimited import CsvRenderer  # noqa: PLC0415 - see above

    return CsvRenderer(stream)


def _folded(stream: TextIO) -> Renderer:
    from kstats.render.folded import FoldedRenderer  # noqa: PLC0415 - see above

    return FoldedRenderer(stream)


FORMATS: dict[str, Callable[[TextIO], Renderer]] = {
    "table": _text,
    "json": _json,
    "csv": _csv,
    "folded": _folded,
}
"""Every output format by its name on the command line; the first is the default."""

OF_STACKS = frozenset({"folded"})
"""Formats that only take exits by axes."""

FOR_PEOPLE = frozenset({"table"})
"""Formats that people read: they may be drawn to fit a screen."""

WITH_REASONS = frozenset({"json"})
"""Formats that can hold the reasons behind each row."""


def renderer(
    name: str, stream: TextIO, *, timestamps: bool = False, interval: float | None = None
) -> Renderer:
    """Return the renderer of a format; ``timestamps`` and ``interval`` affect only ``table``."""
    if name in FOR_PEOPLE:
        return _text(stream, timestamps=timestamps, interval=interval)
    return FORMATS[name](stream)
