"""Columns of text, as wide as a terminal shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_WIDE = "WF"


def width(text: str) -> int:
    """Return the cells that a printable text takes: wide characters take two, marks none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    # The vowels and final consonants of a decomposed Korean syllable join the first letter.
    joins = "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff"
    if joins or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in _WIDE else 1


def pad(text: str, columns: int, *, left: bool) -> str:
    """Return a text with spaces to fill ``columns`` cells, aligned to the left or right."""
    spaces = " " * (columns - width(text))
    return text + spaces if left else spaces + text


def widest(texts: Sequence[str]) -> int:
    """Return the cells that the widest of some texts takes; 0 without any."""
    # A table may have a million cells, and nearly all are in ASCII.
    return max(map(len if "".join(texts).isascii() else width, texts), default=0)


def aligned(texts: Sequence[str], columns: int, *, left: bool) -> list[str]:
    """Return each text as :func:`pad` does."""
    if "".join(texts).isascii():
        return [text.ljust(columns) if left else text.rjust(columns) for text in texts]
    return [pad(text, columns, left=left) for text in texts]


def padded(rows: Sequence[Sequence[str]], words: int) -> list[list[str]]:
    """Return rows with cells as wide as their columns; the first ``words`` are left-aligned."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [[pad(cell, widths[at], left=at < words) for at, cell in enumerate(row)] for row in rows]
