r"""Make text from other processes safe to print.

The name of a VM or a thread can contain anything: escape sequences, line feeds, characters that
reverse the writing direction, bytes that are not text. All text from other processes passes
through :func:`printable` before it is printed, and through :func:`well_formed` before it is written
in a format that requires Unicode and has its own escapes (JSON).

Such text is decoded like file names in Python (``surrogateescape``): bytes that are not UTF-8
become lone surrogates, from which the bytes can be restored.
"""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"
"""Marks the end of a truncated text; an ellipsis in the text itself is escaped."""

LONGEST_NOTE = 300
"""Characters of a note: a line for people that may quote other processes."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How cells begin that a spreadsheet runs, also in full width."""

_NAMED = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Patterns are compiled when they are used, which is rarely: re keeps them.
# Python considers these printable, but they are invisible: fillers, a blank, variation selectors.
_INVISIBLE = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_SURROGATE = "[\ud800-\udfff]"
_RAW_BYTE = range(0xDC80, 0xDD00)


def printable(text: str, limit: int = 64) -> str:
    r"""Return ``text`` on one line, without control characters, in at most ``limit`` characters.

    A backslash, line feed, carriage return and tab become ``\\``, ``\n``, ``\r`` and ``\t``. Other
    ASCII control characters and bytes that are not UTF-8 become ``\xNN``. Other characters that are
    invisible or may move their neighbours become ``\uNNNN`` or ``\UNNNNNNNN``. Spaces at either end
    are escaped, too. A text that does not end in :data:`ELLIPSIS` is complete, and different
    complete texts have different results.
    """
    if len(text) <= limit and _is_plain(text):
        return text
    pieces = [_piece(char) for char in text[: limit + 1]]
    if pieces and (text[0] == " " or unicodedata.category(text[0]).startswith("M")):
        pieces[0] = _escape(text[0])
    if len(text) == len(pieces) > 1 and text[-1] == " ":
        pieces[-1] = _escape(text[-1])
    return _cut(pieces, limit)


def printable_note(note: str) -> str:
    """Return a note on one line, of which parts may be escaped and truncated already."""
    text = printable(note, LONGEST_NOTE).replace(r"\\", "\\")
    return text.replace(_escape(ELLIPSIS), ELLIPSIS)


def well_formed(text: str) -> str:
    """Return ``text`` with U+FFFD for lone surrogates, which JSON readers reject."""
    return re.sub(_SURROGATE, "\ufffd", text)


def json_line(value: object) -> str:
    """Return ``value`` as JSON on one line in ASCII, with all text well formed."""
    import json  # noqa: PLC0415 - tables do not need it

    text = json.dumps(value, allow_nan=False)
    if r"\ud" in text:  # perhaps a lone surrogate
        text = json.dumps(json.loads(well_formed(json.dumps(value, ensure_ascii=False))))
    return f"{text}\n"


def inert(text: str) -> str:
    """Return ``text`` printable, after an apostrophe if a spreadsheet would run it as a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and "\\" not in text and text == text.strip()


def _piece(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    seen = char.isprintable() and char != ELLIPSIS and not re.match(_INVISIBLE, char)
    return char if seen else _escape(char)


def _escape(char: str) -> str:
    number = ord(char)
    if number < 0x80 or number in _RAW_BYTE:
        return f"\\x{number & 0xFF:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _cut(pieces: list[str], limit: int) -> str:
    """Join ``pieces``, or as many whole ones as leave room for the ellipsis."""
    text = "".join(pieces)
    if len(text) <= limit:
        return text
    length = 0
    for count, piece in enumerate(pieces):
        length += len(piece)
        if length > limit - 1:
            return "".join(pieces[:count]) + ELLIPSIS
    return text
