"""Styled text in the cells of a terminal: lines of spans, as wide as the terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import attrs

from kstats.arch.base import Category
from kstats.columns import width
from kstats.escape import ELLIPSIS, printable

_ASCII = {"…": "~", "▸": ">", "▾": "v", "·": ".", "█": "#", "▓": "=", "▒": "+", "░": "."}


class Style(NamedTuple):
    """How a span looks; ``category`` gives it that category's colour."""

    category: Category | None = None
    bold: bool = False
    dim: bool = False
    reverse: bool = False


PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    style: Style = PLAIN


Line: TypeAlias = tuple[Span, ...]


class Size(NamedTuple):
    """The size of a terminal."""

    columns: int
    rows: int


@attrs.frozen
class Look:
    """What a terminal can show.

    Attributes:
        unicode: Whether it shows more than ASCII.
        colour: Whether spans have colours; otherwise letters stand for categories.
    """

    unicode: bool = True
    colour: bool = True

    @property
    def heights(self) -> str:
        """Glyphs from the lowest to the highest."""
        return "▁▂▃▄▅▆▇█" if self.unicode else ".:-=+*#@"

    @property
    def shades(self) -> str:
        """Glyphs of the states guest, kernel, VMM, halted and waiting."""
        return "█▓▒░!" if self.unicode else "#=+.!"

    def shown(self, text: str, limit: int = 64) -> str:
        """Return a text from outside, safe to draw."""
        return self.glyphs(printable(text, limit))

    def glyphs(self, text: str) -> str:
        """Return a text with what the terminal cannot show replaced or escaped."""
        if self.unicode or text.isascii():
            return text
        text = "".join(_ASCII.get(char, char) for char in text)
        return text.encode("ascii", "backslashreplace").decode()


def line(*parts: str | Span) -> Line:
    """Return a line of spans; strings are plain ones."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def line_width(spans: Iterable[Span]) -> int:
    """Return the cells that a line takes."""
    return sum(width(span.text) for span in spans)


def fit(spans: Sequence[Span], columns: int, *, right: bool = False) -> Line:
    """Return a line of exactly ``columns`` cells: cut, or padded on one side."""
    used = line_width(spans)
    if used > columns:
        spans, used = _cut(spans, columns)
    pad = Span(" " * (columns - used))
    if not pad.text:
        return tuple(spans)
    return (pad, *spans) if right else (*spans, pad)


def _cut(spans: Sequence[Span], columns: int) -> tuple[Line, int]:
    kept: list[Span] = []
    left = columns
    for span in spans:
        if width(span.text) <= left:
            kept.append(span)
            left -= width(span.text)
            continue
        text = ""
        for char in span.text:
            if width(char) > left:
                break
            text += char
            left -= width(char)
        kept.append(Span(text, span.style))
        break
    return _with_ellipsis(kept), columns - left


def _with_ellipsis(spans: list[Span]) -> Line:
    """Mark that text was left out, if the last cell is one character of one cell."""
    if spans and spans[-1].text and width(spans[-1].text[-1]) == 1:
        mark = ELLIPSIS if any(not span.text.isascii() for span in spans) else "~"
        spans[-1] = Span(spans[-1].text[:-1] + mark, spans[-1].style)
    return tuple(spans)


def reversed_(spans: Iterable[Span]) -> Line:
    """Return a line in reverse, in one colour, as the selected row is drawn."""
    return tuple(Span(s.text, Style(bold=s.style.bold, reverse=True)) for s in spans)


def text_of(spans: Iterable[Span]) -> str:
    """Return the text of a line without trailing spaces."""
    return "".join(span.text for span in spans).rstrip()


def level(amount: float, most: float, glyphs: str) -> str:
    """Return the glyph for an amount, of which ``most`` is the highest; a space for nothing."""
    if amount <= 0 or most <= 0:
        return " "
    return glyphs[min(int(amount / most * len(glyphs)), len(glyphs) - 1)]


def stacked(parts: Sequence[tuple[str, Style, float]], whole: float, columns: int) -> Line:
    """Return a bar of (glyph, style, amount) parts; ``whole`` fills all columns.

    Cells are given by largest remainder to the running sum, so that the length is that of the sum.
    """
    spans, done, total = [], 0, 0.0
    for glyph, style, amount in parts:
        total += amount
        end = min(round(columns * total / whole), columns) if whole > 0 else 0
        if end > done:
            spans.append(Span(glyph * (end - done), style))
            done = end
    return tuple(spans)
