"""``--input``: samples of a recording, as a view takes those of a live host."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Generator, Iterable, Iterator
from itertools import islice
from typing import Self

from kstats import cpulist, fields, recording
from kstats.cli import options
from kstats.cli.ticker import until_asked
from kstats.errors import KstatsError, RecordingError, UsageError
from kstats.model import Sample
from kstats.recording.choose import Choice, chosen

LIVE_OPTIONS = ("--probe", "--map-entries", "--record")
"""Options that tell how to count, which is done when a recording is read."""


class Replay:
    """The recording that ``args.input`` names.

    Raises:
        UsageError: an option makes no sense with a recording, or it lacks something of ``needs``
            (see :attr:`kstats.recording.Header.counted`).
        UnknownReasonError: ``args.reason`` names no exit of its ISA.
        RecordingError: it cannot be read.
    """

    def __init__(self, args: argparse.Namespace, needs: Iterable[str] = ()) -> None:
        _check_options(args)
        self._reason: str | None = getattr(args, "reason", None)
        self._cpus: str | None = getattr(args, "cpus", None)
        self._source = recording.read(args.input)
        self._error: RecordingError | None = None
        self._empty = True
        self._ended = False
        self.interval = self._source.header.interval
        try:
            self._check(needs)
        except KstatsError:
            self._source.close()
            raise

    def samples(
        self, interval: float | None, count: int | None, only: Choice | None = None
    ) -> Generator[Sample, None, None]:
        """Samples as they were made, or of ``interval`` seconds each; at most ``count``.

        Those that were made every ``interval`` seconds are shown as they came, early or late: as
        they were live. Ends where the recording cannot be read; :meth:`notes` says so.
        """
        samples = self._readable()
        if only is not None:
            samples = chosen(samples, only)
        if interval is not None and interval != self.interval:
            samples = recording.merged(samples, interval)
        yield from islice(samples, count)

    def notes(self) -> list[str]:
        """What to say at the end; raises RecordingError if it was reached too soon."""
        if self._error:
            raise self._error
        if self._empty and self._ended:
            return [f"{self._source.name}: there are no samples in it"]
        return [f"{self._source.name}: {self._source.tail}"] if self._source.tail else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def lacking(self, needs: Iterable[str]) -> UsageError | None:
        """What is wrong with a view that ``needs`` these, if something is."""
        counted: Collection[str] = self._source.header.counted
        missing = [need for need in needs if need not in counted]
        if not missing:
            return None
        what, command = _recorded(missing[0])
        return UsageError(
            f"{self._source.name}: {what} were not recorded", f"{command} records them"
        )

    def _check(self, needs: Iterable[str]) -> None:
        lacking = self.lacking(needs)
        if lacking:
            raise lacking

        if self._reason is not None:
            options.reasons(self._reason, (isa.name for isa in self._source.header.isas))

    def _check_cpus(self, first: Sample) -> None:
        """Raises UsageError for a CPU that its host cannot have had."""
        many = self._source.header.host.cpus
        for cpu in cpulist.parse(self._cpus) if self._cpus and many else ():
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


def _recorded(need: str) -> tuple[str, str]:
    """Return what a view requires, and the command that records it."""
    if meaning := fields.requirements(Sample).get(need):
        return meaning.label, meaning.command
    kind, _, what = need.rpartition(" ")
    latency = " --latency" if what == "latency" else ""
    return need, f"kstats exits --detail {kind}{latency} --record FILE"


def _check_options(args: argparse.Namespace) -> None:
    for option in LIVE_OPTIONS:
        if getattr(args, option.strip("-").replace("-", "_"), None) is not None:
            raise UsageError(f"{option} is for what is counted now", "leave it out with --input")
