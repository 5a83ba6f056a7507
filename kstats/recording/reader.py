"""Reads a recording: its header, then its samples, one at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from os import PathLike, fspath
from typing import IO, Self

from kstats.errors import RecordingError
from kstats.model import Sample
from kstats.recording.decode import Decoder
from kstats.recording.errors import LineError, shown
from kstats.recording.files import Lines
from kstats.recording.header import FORMAT, Header

STDIN = "-"

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

        Raises:
            RecordingError: A line is not valid. All samples before it have been yielded.
        """
        while (text := self._text()) is not None:
            sample = self._decode(text)
            if sample:
                yield sample
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
        text = self._text()
        if text is None:
            why = "truncated in the first line" if self._lines.torn else "the file is empty"
            raise RecordingError(self.name, why)
        self._decode(text)
        if self._decoder.header is None:
            raise RecordingError(self.name, "truncated in the first line")

    def _text(self) -> str | None:
        try:
            return next(self._texts, None)
        except LineError as error:
            raise self._fault(error) from error
        except OSError as error:
            raise RecordingError(self.name, error.strerror or str(error)) from error

    def _decode(self, text: str) -> Sample | None:
        try:
            sample = self._decoder.line(text)
        except LineError as error:
            if self._lines.torn:
                return None
            raise self._fault(error, text) from error
        self._lines.torn = False  # only its line feed is missing
        return sample

    def _fault(self, error: LineError, text: str = FORMAT) -> RecordingError:
        """Return the error for the line that was read last, with a hint."""
        number = self._lines.number
        hint = error.hint or self._keeping(number - 1)
        if number == 1:
            hint = "" if FORMAT in text else _HINT
        return RecordingError(self.name, str(error), hint, number)

    def _keeping(self, whole: int) -> str:
        if whole == 1:
            return "only the header can be read"
        unpack, of = ("zstd -dc FILE | ", "") if self._lines.compressed else ("", " FILE")
        return f"the {whole} lines before are good: {unpack}head -n {whole}{of} keeps them"
