"""Errors in a line, before its file and number are known; names of files in errors."""

from __future__ import annotations

import os

from kstats.escape import printable

_LONGEST_PATH = 1 << 12


class LineError(ValueError):
    """A line of a recording is not valid; the text says why.

    ``hint`` says what to do, unless it is the same as for every damaged line.
    """

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint

    def inside(self, field: str) -> LineError:
        """Return the same error after the name of the field that contains the fault."""
        return LineError(f"{field}: {self}", self.hint)


class HeaderError(LineError):
    """What follows is not a part of this recording."""


def shown(path: str | os.PathLike[str]) -> str:
    """Return a file's name for people, in full so that they can find it."""
    return printable(os.fspath(path), _LONGEST_PATH)
