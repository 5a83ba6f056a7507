"""``--input``: samples of a recording, for views that also show live samples."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator
from itertools import islice
from typing import Self

from kstats import recording
from kstats.cli import reason_option
from kstats.cli.ticker import until_asked
from kstats.cli.view_options import Wanted
from kstats.errors import KstatsError, RecordingError, UsageError
from kstats.filters import filter_threads
from kstats.meaning import requirements
from kstats.model import Sample


class Replay:
    """The recording in a file.

    Raises:
        UsageError: The recording lacks what is wanted.
        UnknownReasonError: Its ISA lacks a reason that is wanted.
        RecordingError: It cannot be read.
    """

    def __init__(self, path: str, wanted: Wanted) -> None:
        self._wanted = wanted
        self._source = recording.read(path)
        self._error: RecordingError | None = None
        self._empty = True
        self._ended = False
        self.interval = self._source.header.interval
        try:
            self._check()
        except KstatsError:
            self._source.close()
            raise

    def samples(self, interval: float | None, count: int | None) -> Generator[Sample, None, None]:
        """Yield samples as they were made, or of ``interval`` seconds each; at most ``count``.

        Samples that were made every ``interval`` seconds are shown unchanged, early or late, as
        they were live. Ends where the recording cannot be read; :meth:`notes` then raises.
        """
        samples = self._readable()
        if self._wanted.threads:
            samples = filter_threads(samples, self._wanted.threads)
        if interval is not None and interval != self.interval:
            samples = recording.merged(samples, interval)
        yield from islice(samples, count)

    def notes(self) -> list[str]:
        """Return messages for the end; raise RecordingError if that came too early."""
        if self._error:
            raise self._error
        if self._empty and self._ended:
            return [f"{self._source.name}: the recording has no samples"]
        return [f"{self._source.name}: {self._source.tail}"] if self._source.tail else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def lacking(self, requires: Iterable[str]) -> UsageError | None:
        """Return why a view that requires these cannot be shown; None if it can."""
        return lacking(self._source.name, self._source.header.counted, requires)

    def _check(self) -> None:
        threads = ("threads",) if self._wanted.threads else ()
        lacking = self.lacking((*self._wanted.requires, *threads))
        if lacking:
            raise lacking
        if self._wanted.reason is not None:
            reason_option.codes(self._wanted.reason, (isa.name for isa in self._source.header.isas))

    def _check_cpus(self, first: Sample) -> None:
        """Raise UsageError for a CPU that its host cannot have."""
        many = self._source.header.host.cpus
        for cpu in self._wanted.cpus if many else ():
            if cpu >= many and cpu not in first.cpus:
                raise UsageError(
                    f"{self._source.name}: its host has no CPU {cpu}", f"it has 0 to {many - 1}"
                )

    def _readable(self) -> Iterator[Sample]:
        # What can be read is shown before the error is.
        try:
            for sample in until_asked(self._whole()):
                if self._empty:
                    self._check_cpus(sample)
                self._empty = False
                yield sample
        except RecordingError as error:
            self._error = error

    def _whole(self) -> Iterator[Sample]:
        yield from self._source
        self._ended = True


def lacking(name: str, counted: Collection[str], requires: Iterable[str]) -> UsageError | None:
    """Return what a recording of that name has not ``counted`` but should; None if it has all."""
    missing = [need for need in requires if need not in counted]
    if not missing:
        return None
    what, command = _recorded(missing[0])
    return UsageError(f"{name}: {what} were not recorded", f"{command} records them")


def _recorded(need: str) -> tuple[str, str]:
    """Return what a view requires, and the command that records it."""
    if meaning := requirements(Sample).get(need):
        return meaning.label, meaning.command
    kind, _, what = need.rpartition(" ")
    latency = " --latency" if what == "latency" else ""
    return need, f"kstats exits --detail {kind}{latency} --record FILE"
