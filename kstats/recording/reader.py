"""Reads a recording: its header, then its samples, one at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from os import PathLike, fspath
from typing import IO, Self

import attrs

from kstats.errors import RecordingError
from kstats.model import Sample
from kstats.recording.decode import Decoder
from kstats.recording.errors import HeaderError, LineError, shown
from kstats.recording.files import Lines
from kstats.recording.header import FORMAT, Header

STDIN = "-"

_REST = "all other lines were read"
_HINT = "recordings are made by kstats record; kstats decode reads others"


def read(path: str | PathLike[str]) -> Recording:
    """Open a recording; ``-`` is standard input.

    Memory is bounded, however long the recording is. Needs neither root nor bcc nor the
    architecture that was recorded.

    Raises:
        RecordingError: There is no such file, or it is not a recording.
        MissingLibraryError: It is compressed, and the library for that is not installed.
    """
    name = fspath(path)
    if not name:
        raise RecordingError("''", "no file given")
    if name == STDIN and sys.stdin is None:  # what Python has for a stream that was closed
        raise RecordingError("standard input", "closed")
    try:
        # Not by pathlib, which takes as long to import as this package. Closed by Recording.
        file = sys.stdin.buffer if name == STDIN else open(name, "rb")  # noqa: PTH123, SIM115
    except OSError as error:
        raise RecordingError(shown(name), error.strerror or str(error)) from error
    return Recording("standard input" if name == STDIN else shown(name), file)


class Recording:
    """A recording that is being read. Iterate over it once to get its samples.

    Attributes:
        name: Its file's name, for people.
        tail: What is wrong with its end, for people; None if nothing is, or before the end.
    """

    def __init__(self, name: str, file: IO[bytes]) -> None:
        """Read the header."""
        self.name = name
        self.tail: str | None = None
        self._file = file
        self._lines = Lines(file)
        self._texts = iter(self._lines)
        self._decoder = Decoder()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def header(self) -> Header:
        """The header of the last sample; a recording that was continued has several."""
        if self._decoder.header is None:
            raise RecordingError(self.name, "no header")
        return self._decoder.header

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in order.

        After a damaged line, the next samples are those from the next line with all counts on.

        Raises:
            RecordingError: Lines are damaged; all samples that can be read have been yielded. Or
                another recording follows, or the file cannot be read.
        """
        damage: _Damage | None = None
        while (line := self._line()) is not None:
            try:
                sample = self._decode(line)
            except HeaderError as error:
                raise self._fault(error, line) from error
            except LineError as error:
                if not self._lines.torn:
                    damage = damage or _Damage(error, self._lines.number)
                    damage.lines += 1
                    self._decoder.forget()
                continue
            if sample:
                yield sample
        if damage:
            raise self._damaged(damage)
        if self._lines.torn:
            self.tail = (
                f"ends in the middle of line {self._lines.number}; all lines before are complete"
            )

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        line = self._line()
        if line is None:
            why = "truncated in the first line" if self._lines.torn else "the file is empty"
            raise RecordingError(self.name, why)
        try:
            self._decode(line)
        except LineError as error:
            if not self._lines.torn:
                raise self._fault(error, line) from error
        if self._decoder.header is None:
            raise RecordingError(self.name, "truncated in the first line")

    def _line(self) -> str | LineError | None:
        try:
            return next(self._texts, None)
        except OSError as error:
            raise RecordingError(self.name, error.strerror or str(error)) from error

    def _decode(self, line: str | LineError) -> Sample | None:
        if isinstance(line, LineError):
            raise line
        sample = self._decoder.line(line)
        self._lines.torn = False  # only its line feed is missing
        return sample

    def _fault(self, error: LineError, line: str | LineError) -> RecordingError:
        """Return the error for the line that was read last."""
        hint = error.hint
        if self._lines.number == 1:
            hint = _HINT if isinstance(line, str) and FORMAT not in line else ""
        return RecordingError(self.name, str(error), hint, self._lines.number)

    def _damaged(self, damage: _Damage) -> RecordingError:
        """Return the error for lines that were left out."""
        left_out = "this line was" if damage.lines == 1 else f"{damage.lines} lines were"
        text = f"{damage.error}; {left_out} left out of {self._lines.number}"
        return RecordingError(self.name, text, damage.error.hint or _REST, damage.first)


@attrs.define
class _Damage:
    """The first damaged line, and how many could not be read."""

    error: LineError
    first: int
    lines: int = 0
