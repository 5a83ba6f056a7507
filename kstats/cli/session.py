"""A session: samples of this host or of a recording, shown one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from kstats import pipes
from kstats.cli import streams
from kstats.cli.options import FOREVER
from kstats.cli.ticker import Ticker, deferred_signals, end_line
from kstats.cli.view_options import ViewOptions, Wanted
from kstats.errors import RecordingError, UnsupportedHostError
from kstats.escape import printable_note
from kstats.render import FOR_PEOPLE, Renderer, renderer
from kstats.views import RequiringView, View

if TYPE_CHECKING:
    from kstats import recording
    from kstats.cli.replay import Replay
    from kstats.collector.overhead import Meter
    from kstats.collector.target import Target
    from kstats.model import Sample
    from kstats.privileges import Need

EVERY_SECOND = 1.0

_STDERR = 2

_NOTHING = "no exits: no VM ran, or none had the exits that were selected"


class Source(Protocol):
    """What gives samples while it is open."""

    @property
    def target(self) -> Target:
        """The host and its KVM."""

    @property
    def counted(self) -> tuple[str, ...]:
        """What its samples have that others lack: see :class:`kstats.recording.Header`."""

    def sample(self) -> Sample:
        """Return what was counted since the last sample."""

    def description(self) -> Iterable[str]:
        """Return what is loaded and how, one line each, for --debug."""

    def needs(self) -> Iterable[Need]:
        """Return what :meth:`sample` may need capabilities for."""

    def follow(self) -> None:
        """Begin with what goes on between samples; privileges have been given up."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Session(NamedTuple):
    """Samples, and how they are shown.

    Attributes:
        options: The options of the view.
        samples: The samples; a signal ends them.
        interval: Seconds that a report should take; None if it may take any time.
        recorded: The recording that contains the samples; None for live samples.
        meter: What measures the overhead before each sample, if that is asked for.
    """

    options: ViewOptions
    samples: Generator[Sample, None, None]
    interval: float | None
    recorded: Replay | None = None
    meter: Meter | None = None

    @classmethod
    @contextmanager
    def open(
        cls,
        options: ViewOptions,
        collect: Callable[[], Source],
        wanted: Wanted,
    ) -> Iterator[Self]:
        """Open the recording that --input names, or begin to count on this host.

        Args:
            options: The options of the view.
            collect: Return what counts on this host; it applies its own filters.
            wanted: What to show of a recording.

        Raises:
            KstatsError: This host cannot be measured, or the recording cannot be shown.
        """
        if options.input is not None:
            from kstats.cli.replay import Replay  # noqa: PLC0415 - live counting does not need it

            with Replay(options.input, wanted) as recorded:
                samples = recorded.samples(options.interval, options.count)
                seconds = recorded.interval if options.interval is None else options.interval
                try:
                    yield cls(options, samples, seconds, recorded)
                except UnsupportedHostError as error:  # the recorded host is meant, not this one
                    raise RecordingError(options.input, str(error), error.hint) from error
                print_errors(recorded.notes())
            return
        seconds = EVERY_SECOND if options.interval is None else options.interval
        with counted(options, collect, seconds) as (samples, meter):
            yield cls(options, samples, seconds, meter=meter)

    def show(self, view: View) -> None:
        """Show every sample in ``view``."""
        interval = None if self.interval == FOREVER else self.interval
        if self.meter:
            from kstats.views.overhead import OverheadView  # noqa: PLC0415 - rarely needed

            meter = self.meter
            view = OverheadView(view, lambda: meter.overhead)
        options = self.options
        writer = renderer(
            options.format, sys.stdout, timestamps=options.timestamps, interval=interval
        )
        report(self.samples, view, writer, people=options.format in FOR_PEOPLE)

    def fitting(self, view: RequiringView, fallback: RequiringView | None) -> RequiringView:
        """Return ``view``, or with a message ``fallback`` if the recording lacks what it needs."""
        lacking = self.recorded.lacking(view.requires) if self.recorded and fallback else None
        if not lacking or not fallback:
            return view
        print_errors([f"{lacking}; exits are shown without threads"])
        return fallback


@contextmanager
def counted(
    options: ViewOptions, collect: Callable[[], Source], interval: float
) -> Iterator[tuple[Generator[Sample, None, None], Meter | None]]:
    """Begin to count on this host; give the samples, and with --overhead its meter.

    With --record each sample is written before it is shown.
    """
    with collect() as source, ExitStack() as stack:
        meter = meter_of(source) if options.overhead else None
        samples = live(source, interval, options.count, meter)
        if options.record is not None:
            from kstats.recording import Writer, header_of  # noqa: PLC0415 - few views record

            header = header_of(source, None if interval == FOREVER else interval)
            writer = stack.enter_context(Writer(options.record, header))
            samples = kept(samples, writer)
        attached(
            source,
            writes=options.record,
            needs=meter.needs() if meter else (),
            debug=options.debug,
        )
        yield samples, meter


def meter_of(source: Source) -> Meter | None:
    """Return what measures the overhead; None for KVM's own counters, which cost nothing.

    Raises:
        PrivilegeError: The kernel's statistics may not be enabled.
    """
    from kstats.collector.live import Collector  # noqa: PLC0415 - recordings do not need it
    from kstats.collector.overhead import Meter  # noqa: PLC0415

    return Meter(source.loaded, source.target.host) if isinstance(source, Collector) else None


def kept(
    samples: Generator[Sample, None, None], writer: recording.Writer
) -> Generator[Sample, None, None]:
    """Yield the samples, each after it was written."""
    with closing(samples):
        for sample in samples:
            writer.write(sample)
            yield sample


def live(
    source: Source, interval: float, count: int | None, meter: Meter | None = None
) -> Generator[Sample, None, None]:
    """Return samples until ``count`` is reached or a signal comes, then what was counted since.

    Intervals begin with this call, not with the first sample that is asked for: preparing the
    first report takes time. Signals are deferred until the generator is closed, so that no report
    is torn. ``meter`` measures right before each sample.
    """
    return _at_each_tick(source, Ticker(interval), count, meter)


def _at_each_tick(
    source: Source, ticker: Ticker, count: int | None, meter: Meter | None
) -> Generator[Sample, None, None]:
    with deferred_signals():
        done = 0
        while count is None or done < count:
            stopped = ticker.wait()
            if stopped:
                end_line()
            if meter:
                meter.measure()
            yield source.sample()
            done += 1
            if stopped:
                return


def report(
    samples: Generator[Sample, None, None], view: View, writer: Renderer, *, people: bool = True
) -> None:
    """Show every sample as ``view`` turns it, and close the samples.

    If ``people`` on a terminal get only headings, a message says why.
    """
    empty = False
    with closing(samples):
        for number, sample in enumerate(samples):
            table = view.table(sample)
            empty = not table.rows and (empty or not number)
            with streams.writing():
                writer.write(table)
            if not writer.carries_notes:
                print_errors(map(printable_note, table.notes))
    if empty and people and sys.stdout.isatty():
        print_errors([_NOTHING])


def attached(
    source: Source, *, writes: str | None = None, needs: Iterable[Need] = (), debug: bool
) -> None:
    """Give up the privileges that only attaching needs, and let the source begin to follow.

    With ``debug`` print what is loaded.

    Args:
        source: What is attached.
        writes: The file that is written while samples are taken, or after them.
        needs: What needs capabilities besides ``source``.
        debug: Also print which capabilities are kept, and why.
    """
    from kstats import privileges  # noqa: PLC0415 - recordings do not need it

    if debug:
        print_errors(source.description())
    files = () if writes in (None, "-") else privileges.writes(writes)
    lines = privileges.drop((*source.needs(), *needs, *files))
    source.follow()
    if debug:
        print_errors(lines)


def print_errors(lines: Iterable[str]) -> None:
    """Print lines on standard error, after the name of the program."""
    for line in lines:
        pipes.until_writable(_STDERR)
        print(f"kstats: {line}", file=sys.stderr)
