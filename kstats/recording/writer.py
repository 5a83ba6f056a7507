"""Writes a recording. What has been written stays readable, whatever happens next."""

from __future__ import annotations

import re
import time
from os import PathLike
from pathlib import Path
from typing import Self

import attrs

from kstats.errors import RecordingError
from kstats.model import Sample
from kstats.recording.encode import Encoder, header_line
from kstats.recording.errors import LineError, shown
from kstats.recording.files import SUFFIX
from kstats.recording.header import Clock, Header
from kstats.recording.output import Output


@attrs.frozen
class Rotation:
    """When to start a new file.

    Attributes:
        size: When the file has this many bytes.
        seconds: At multiples of this many seconds since the epoch: 86400 is midnight UTC.
        keep: The number of older files to keep; None for all.
    """

    size: int | None = None
    seconds: float | None = None
    keep: int | None = None


class Writer:
    """Writes samples to a file, each at once; ``-`` is standard output.

    A recording that exists is continued: what is in it stays. Two writers of one file would
    corrupt it, so the second is refused. If the file is moved away, a new one is created.

    Attributes:
        path: The file.
        name: The name of the file for people.
        samples: The number of samples written.
        size: The number of bytes written.
        removed: The bytes of incomplete lines that were removed from the end of the file.

    Raises:
        RecordingError: the file cannot be written, is no recording, or one of another host, or
            somebody else writes to it.
        MissingLibraryError: It is compressed, and the library for that is not installed.
    """

    def __init__(
        self, path: str | PathLike[str], header: Header, rotation: Rotation | None = None
    ) -> None:
        """Write the header."""
        self.path = Path(path)
        self.name = shown(self.path)
        self.samples = 0
        self.size = 0
        self._header = header
        self._rotation = rotation or Rotation()
        self._turn = False
        self._encoder = Encoder()
        self._period: int | None = None
        self._time = header.clock.time
        try:
            header_line(header)  # before a file is created
        except LineError as error:
            raise self._refused(error) from error
        self._output = Output(self.path, header)
        self.removed = self._output.removed
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def write(self, sample: Sample) -> None:
        """Write a sample; it can be read from then on.

        Raises:
            RecordingError: there is no room, or no reader would accept the sample. What was written
                before is there, and this sample is not.
        """
        self._find_place(sample)
        try:
            self.size += self._output.append(self._line(sample))
        except RecordingError:
            self._encoder = Encoder()  # the next sample is not the change of one that is missing
            raise
        self.samples += 1
        self._period = self._period_of(sample)
        self._time = sample.time

    def _line(self, sample: Sample) -> str:
        try:
            return self._encoder.line(sample)
        except LineError as error:
            raise self._refused(error) from error

    def _refused(self, error: LineError) -> RecordingError:
        return RecordingError(self.name, f"no reader would accept what is to be written: {error}")

    def turn(self) -> None:
        """Start a new file with the next sample."""
        self._turn = True

    def close(self) -> None:
        """Close the file after everything is on the disk; may be called twice."""
        self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        """Start with a header; the next sample gets a key line."""
        self._encoder = Encoder()
        self._period = None
        self._time = self._header.clock.time
        self.size += self._output.append(header_line(self._header))

    def _find_place(self, sample: Sample) -> None:
        """Reopen or rotate the file if that is due."""
        if not self._output.is_in_place():
            self._reopen()
        elif self._output.was_emptied():
            self._begin()
        elif self._is_due(sample):
            self._rotate()
        self._turn = False

    def _is_due(self, sample: Sample) -> bool:
        if self._period is None or not self._output.is_file:
            return False
        full = self._rotation.size is not None and self._output.size >= self._rotation.size
        return self._turn or full or self._period != self._period_of(sample)

    def _period_of(self, sample: Sample) -> int:
        return int(sample.time // self._rotation.seconds) if self._rotation.seconds else 0

    def _rotate(self) -> None:
        try:
            olders = _olders(self.path)
            number = olders[-1][0] + 1 if olders else 1
            self._output.rotate(older(self.path, self._time, number))
            self._header = attrs.evolve(self._header, clock=Clock.now())
            self._begin()
            if self._rotation.keep:
                surplus = len(olders) + 1 - self._rotation.keep
                for _, path in olders[: max(surplus, 0)]:
                    path.unlink()
        except OSError as error:
            why = f"no new file can take its place: {error.strerror or error}"
            raise RecordingError(self.name, why) from error

    def _reopen(self) -> None:
        self._output.close()
        self._header = attrs.evolve(self._header, clock=Clock.now())
        self._output = Output(self.path, self._header)
        self._begin()


def older(path: Path, moment: float, number: int) -> Path:
    """Return the name of a rotated file, such as ``kstats.20260131T120000Z-17.jsonl``.

    The number tells the order. The time does not: several files may be rotated in one second, and
    the clock may be set back.
    """
    stem, suffix = _split(path)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    return path.with_name(f"{stem}.{stamp}-{number}{suffix}")


def _olders(path: Path) -> list[tuple[int, Path]]:
    """Return the rotated files of ``path`` with their numbers, oldest first."""
    stem, suffix = map(re.escape, _split(path))
    pattern = re.compile(rf"{stem}\.\d{{8}}T\d{{6}}Z-(\d+){suffix}", re.ASCII)
    found = ((pattern.fullmatch(there.name), there) for there in path.parent.iterdir())
    return sorted((int(match[1]), there) for match, there in found if match)


def _split(path: Path) -> tuple[str, str]:
    """Return the name without its suffix, and the suffix, such as ``.jsonl.zst``."""
    suffix = "".join(path.suffixes[-2:] if path.suffix == SUFFIX else path.suffixes[-1:])
    return path.name.removesuffix(suffix), suffix
