"""Writing a recording: what is written stays readable, whatever happens next."""

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
from kstats.recording.errors import shown
from kstats.recording.files import SUFFIX
from kstats.recording.header import Clock, Header
from kstats.recording.output import Output


@attrs.frozen
class Rotation:
    """When to go on in a new file.

    Attributes:
        size: Once a file has so many bytes.
        seconds: At whole multiples of so many seconds since the epoch: 86400 is midnight UTC.
        keep: How many older files to leave; None for all.
    """

    size: int | None = None
    seconds: float | None = None
    keep: int | None = None


class Writer:
    """Writes samples to a file, each as soon as it comes; ``-`` is standard output.

    A recording that exists is continued: what is in it stays. Two writers of one file would
    spoil it, so the second is refused. If the file is moved away, a new one takes its place.

    Attributes:
        path: Where it writes.
        name: The same for people.
        samples: How many it has written.
        size: How many bytes they took.

    Raises:
        RecordingError: the file cannot be written, is no recording, or one of another host, or
            somebody else writes to it.
        MissingLibraryError: it is to be compressed, and the library for that is not there.
    """

    def __init__(
        self, path: str | PathLike[str], header: Header, rotation: Rotation | None = None
    ) -> None:
        """Writes the header."""
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
        self._output = Output(self.path, header)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def write(self, sample: Sample) -> None:
        """Writes a sample; it can be read from then on.

        Raises:
            RecordingError: there is no room, for example. What was written before is there, and
                this sample is not.
        """
        self._find_place(sample)
        line = self._encoder.line(sample)
        try:
            self.size += self._output.append(line)
        except RecordingError:
            self._encoder = Encoder()  # the next sample is not the change of one that is missing
            raise
        self.samples += 1
        self._period = self._period_of(sample)
        self._time = sample.time

    def turn(self) -> None:
        """Goes on in a new file when the next sample comes."""
        self._turn = True

    def close(self) -> None:
        """Closes the file once all is on the disk; doing it twice is fine."""
        self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        """Begins with a header and a sample that says everything."""
        self._encoder = Encoder()
        self._period = None
        self._time = self._header.clock.time
        self.size += self._output.append(header_line(self._header))

    def _find_place(self, sample: Sample) -> None:
        """Sees to it that the file is there and that its turn has not come."""
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
            self.path.rename(_free(older(self.path, self._time)))
            self._reopen()
            for path in _olders(self.path)[: -self._rotation.keep] if self._rotation.keep else ():
                path.unlink()
        except OSError as error:
            why = f"no new file can take its place: {error.strerror or error}"
            raise RecordingError(self.name, why) from error

    def _reopen(self) -> None:
        self._output.close()
        self._header = attrs.evolve(self._header, clock=Clock.now())
        self._output = Output(self.path, self._header)
        self._begin()


def older(path: Path, moment: float) -> Path:
    """What a file is called once another takes its place: ``kstats.20260131T120000Z.jsonl``."""
    stem, suffix = _split(path)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    return path.with_name(f"{stem}.{stamp}{suffix}")


def _free(path: Path) -> Path:
    stem, suffix = _split(path)
    names = (f"{stem}-{n}{suffix}" if n else path.name for n in range(1 << 16))
    return next(p for p in map(path.with_name, names) if not p.exists())


def _olders(path: Path) -> list[Path]:
    """The older files of ``path``, oldest first."""
    stem, suffix = map(re.escape, _split(path))
    pattern = re.compile(rf"{stem}\.\d{{8}}T\d{{6}}Z(-\d+)?{suffix}")
    return sorted(p for p in path.parent.iterdir() if pattern.fullmatch(p.name))


def _split(path: Path) -> tuple[str, str]:
    """The name without its suffixes, and those: ``.jsonl.zst`` is one."""
    suffix = "".join(path.suffixes[-2:] if path.suffix == SUFFIX else path.suffixes[-1:])
    return path.name.removesuffix(suffix), suffix
