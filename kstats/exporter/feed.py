"""Where samples come from: this host, or a recording that is replayed as if it were counted now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, Self

import attrs

import kstats
from kstats import recording
from kstats.errors import UsageError
from kstats.model import MapUsage, Sample

_AT_ONCE = 1000
"""Samples of a recording to give at once: counting must go on, however fast it is replayed."""


@attrs.frozen(kw_only=True)
class About:
    """How samples are made: the labels of ``kstats_build_info``; empty for what is unknown."""

    version: str = kstats.__version__
    arch: str = ""
    isa: str = ""
    probe: str = ""
    loader: str = ""
    kernel: str = ""

    @classmethod
    def of(cls, header: recording.Header) -> Self:
        """Return how the samples of a recording were made."""
        return cls(
            arch=header.arch,
            isa=",".join(isa.name for isa in header.isas),
            loader="recording",
            kernel=header.host.kernel,
        )


class Feed(Protocol):
    """What gives samples until it is closed."""

    @property
    def about(self) -> About:
        """How they are made."""

    @property
    def counted(self) -> tuple[str, ...]:
        """What they have that others lack: see :class:`kstats.recording.Header`."""

    def samples(self) -> Iterator[Sample]:
        """Yield what was counted since the last call, in one sample or several."""

    def maps(self) -> Mapping[str, MapUsage]:
        """Return the usage of the BPF maps."""

    def close(self) -> None:
        """End counting."""


class Replay:
    """A recording, replayed from now on.

    Raises:
        RecordingError: It cannot be read.
        UsageError: It is standard input, which cannot be read again for ``loop``.
    """

    def __init__(
        self,
        path: str,
        *,
        speed: float = 1.0,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Replay a file ``speed`` times as fast as it was recorded; with ``loop``, for ever."""
        if loop and path == "-":
            raise UsageError("--loop cannot read standard input again", "give it a file")
        self._path = path
        self._speed = speed
        self._loop = loop
        self._clock = clock
        self._recording = recording.read(path)
        self._samples = iter(self._recording)
        self._next: Sample | None = None
        self._due = clock()
        self.counted = self._recording.header.counted
        self.about = About.of(self._recording.header)

    def samples(self) -> Iterator[Sample]:
        """Yield the samples that ended by now.

        Raises:
            RecordingError: A line is not valid. The samples before it have been yielded.
        """
        now = self._clock()
        for _ in range(_AT_ONCE):
            sample = self._next or self._advance()
            if sample is None or self._due > now:
                return
            self._next = None
            yield sample
        self._due = now  # it cannot be read that fast: go on as fast as it can

    def maps(self) -> Mapping[str, MapUsage]:
        """Return nothing: recordings have no maps."""
        return {}

    def close(self) -> None:
        """Close the file."""
        self._recording.close()

    def _advance(self) -> Sample | None:
        """Read the next sample, and add its length to the time at which it is due."""
        self._next = next(self._samples, None)
        if self._next is None and self._loop:
            self._recording.close()
            self._recording = recording.read(self._path)
            self._samples = iter(self._recording)
            self._next = next(self._samples, None)
        if self._next:
            self._due += self._next.elapsed / self._speed
        return self._next
