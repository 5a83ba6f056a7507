r"""Text of other processes, made safe to print.

Whoever names a VM or a thread may put anything into the name: escape sequences, line feeds,
characters that turn the direction of writing, bytes that are no text. All text that comes from
another process goes through :func:`printable` before it is printed, and through
:func:`well_formed` where a format wants Unicode and keeps the text itself (JSON).

Such text is decoded as Python decodes file names (``surrogateescape``): bytes that are not
UTF-8 become lone surrogates, and the bytes can be had back.
"""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"
"""Ends a text that was cut; one in the text itself is escaped."""

_NAMED = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Printable for Python, but they show nothing: fillers, a blank, variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_RAW_BYTE = range(0xDC80, 0xDD00)


def printable(text: str, limit: int = 64) -> str:
    r"""``text`` on one line without control characters, at most ``limit`` characters long.

    ``\\``, ``\n``, ``\r`` and ``\t`` stand for themselves, ``\xNN`` for a byte (an ASCII control
    character, or one that is not UTF-8), ``\uNNNN`` and ``\UNNNNNNNN`` for any other character
    that cannot be seen or might move its neighbours. Spaces at either end are escaped, too. A
    text that does not end in :data:`ELLIPSIS` is complete, and different texts look different.
    """
    if len(text) <= limit and _is_plain(text):
        return text
    pieces = [_piece(char) for char in text[: limit + 1]]
    if pieces and (text[0] == " " or unicodedata.category(text[0]).startswith("M")):
        pieces[0] = _escape(text[0])
    if len(text) == len(pieces) > 1 and text[-1] == " ":
        pieces[-1] = _escape(text[-1])
    return _cut(pieces, limit)


def well_formed(text: str) -> str:
    """``text`` with U+FFFD for what is no character: JSON readers refuse lone surrogates."""
    return _SURROGATE.sub("\ufffd", text)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and "\\" not in text and text == text.strip()


def _piece(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    seen = char.isprintable() and char != ELLIPSIS and not _INVISIBLE.match(char)
    return char if seen else _escape(char)


def _escape(char: str) -> str:
    number = ord(char)
    if number < 0x80 or number in _RAW_BYTE:
        return f"\\x{number & 0xFF:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _cut(pieces: list[str], limit: int) -> str:
    """All of ``pieces``, or as many whole ones as leave room for the mark."""
    text = "".join(pieces)
    if len(text) <= limit:
        return text
    length = 0
    for count, piece in enumerate(pieces):
        length += len(piece)
        if length > limit - 1:
            return "".join(pieces[:count]) + ELLIPSIS
    return text
