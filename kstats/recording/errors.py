"""What is wrong with a line, before anybody knows whose; and how files are called in errors."""

from __future__ import annotations

import os

from kstats.escape import printable

_LONGEST_PATH = 1 << 12


class LineError(ValueError):
    """A line of a recording is not what belongs there; the text says what is wrong.

    ``hint`` says what to do, if that is not the same for every line that is damaged.
    """

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


def shown(path: str | os.PathLike[str]) -> str:
    """A file's name for people; whole, for they must find it."""
    return printable(os.fspath(path), _LONGEST_PATH)
