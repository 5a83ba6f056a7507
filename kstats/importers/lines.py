"""Lines of a file of unknown origin: of any length and content, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import attrs

from kstats.escape import printable

LONGEST = 1 << 14
"""Bytes of a line that are kept; no tool whose output is read here writes longer ones."""


@attrs.frozen
class Line:
    """A line without its end, and its number from 1 on; ``whole`` unless it was too long."""

    number: int
    text: str
    whole: bool = True


def lines(stream: BinaryIO) -> Iterator[Line]:
    """The lines of ``stream``; bytes that are not UTF-8 survive as Python's file names do."""
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
    """What a file did not tell: lines that say nothing, events that its maker lost.

    Attributes:
        count: Lines that were not understood.
        first: The first of them.
        lost: Events that are missing, as the file itself says.
        remarks: What else people should know.
    """

    count: int = 0
    first: Line | None = None
    lost: int = 0
    remarks: list[str] = attrs.field(factory=list)

    def add(self, line: Line) -> None:
        """Counts a line that was not understood."""
        self.count += 1
        self.first = self.first or line

    def remark(self, text: str) -> None:
        """What people should know; said once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def notes(self) -> tuple[str, ...]:
        """What people should know, a line each."""
        notes = list(self.remarks)
        if self.lost:
            notes.append(f"{self.lost} events were lost when this was traced: not counted")
        if self.first:
            what = "line was" if self.count == 1 else "lines were"
            shown = printable(self.first.text, 60) if self.first.whole else "it is too long"
            where = f"the first is line {self.first.number}: {shown}"
            notes.append(f"{self.count} {what} not understood and not counted; {where}")
        return tuple(notes)
