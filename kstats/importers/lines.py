"""Read lines of untrusted files, of any length and content, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import attrs

from kstats.escape import printable

LARGE_SHARE = 0.05
"""If more of the exits in a file are not understood, its counts are not to be relied on."""

LONGEST = 1 << 14
"""Bytes of a line that are kept. No supported tool writes longer lines."""


_LONGEST_SHOWN = 100


@attrs.frozen
class Line:
    """A line without its line end; numbers start at 1; not ``whole`` if it was cut off."""

    number: int
    text: str
    whole: bool = True


def lines(stream: BinaryIO) -> Iterator[Line]:
    """Yield the lines of ``stream``; bytes that are not UTF-8 become surrogate escapes."""
    number = 0
    while data := stream.readline(LONGEST + 1):
        number += 1
        whole = len(data) <= LONGEST or data.endswith(b"\n")
        if not whole:
            _skip(stream)
        text = data.removesuffix(b"\n").removesuffix(b"\r").decode(errors="surrogateescape")
        yield Line(number, text, whole)


def _skip(stream: BinaryIO) -> None:
    while (data := stream.readline(1 << 16)) and not data.endswith(b"\n"):
        pass


@attrs.define
class Problems:
    """What could not be read from a file.

    Attributes:
        count: Lines that were not understood.
        first: The first such line.
        exits: Exits in these lines, as far as the lines look like exits.
        first_exit: The first line that looks like an exit.
        lost: Events that the tracer lost, as the file itself reports.
        remarks: Other notes for people.
    """

    count: int = 0
    first: Line | None = None
    exits: int = 0
    first_exit: Line | None = None
    lost: int = 0
    remarks: list[str] = attrs.field(factory=list)

    def add(self, line: Line, exits: int = 0, lines: int = 1) -> None:
        """Count ``lines`` that were not understood, and the exits that they seem to contain."""
        self.count += lines
        self.first = self.first or line
        if exits:
            self.exits += exits
            self.first_exit = self.first_exit or line

    def shortfall(self, understood: int) -> str:
        """Return what is missing, if a large share of the exits was not understood; else empty."""
        total = understood + self.exits
        if self.first_exit is None or self.exits <= LARGE_SHARE * total:
            return ""
        return (
            f"{self.exits} of {total} exits were not understood and are not counted;"
            f" {_where(self.first_exit)}"
        )

    def remark(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def notes(self) -> tuple[str, ...]:
        """Return the notes for people, one line each."""
        notes = list(self.remarks)
        if self.lost:
            notes.append(f"the tracer lost {self.lost} events; they are not counted")
        if self.first:
            what = "line was" if self.count == 1 else "lines were"
            where = _where(self.first)
            notes.append(f"{self.count} {what} not understood and not counted; {where}")
        return tuple(notes)


def _where(line: Line) -> str:
    shown = printable(line.text.strip(), _LONGEST_SHOWN) if line.whole else "too long"
    return f"the first is line {line.number}: {shown}"
