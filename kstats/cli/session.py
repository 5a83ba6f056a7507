"""What every view shares: samples come, from wherever, and are shown one after the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Protocol, Self

from kstats import recording
from kstats.cli import options, replay, streams
from kstats.cli.ticker import Ticker, deferred_signals, end_line
from kstats.collector.live import Collector, Target
from kstats.collector.overhead import Meter
from kstats.errors import UsageError
from kstats.model import Sample
from kstats.recording.choose import Choice
from kstats.render import FORMATS, Renderer
from kstats.render.text import TextRenderer
from kstats.views import ExactingView, View
from kstats.views.overhead import OverheadView

FOREVER = 1e9
"""Seconds until a report that only ^C asks for: three decades."""

EVERY_SECOND = 1.0

_NOTHING = "nothing was counted: no VM ran, or none did what was asked for"


class Source(Protocol):
    """What counts, and gives samples of it while it is open."""

    @property
    def target(self) -> Target:
        """The host, and what its KVM is."""

    @property
    def counted(self) -> tuple[str, ...]:
        """What its samples have that others lack: see :class:`kstats.recording.Header`."""

    def sample(self) -> Sample:
        """What was counted since the last one."""

    def description(self) -> Iterable[str]:
        """What is loaded and how, a line each: what --debug says."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *_: object) -> None:
        """Ends counting."""


def add_arguments(parser: options.Parser, *timestamps: str) -> None:
    """Add the options that every view has; ``timestamps`` are short forms of --timestamps."""
    add = parser.add_argument
    add(*timestamps, "--timestamps", action="store_true", help="print the UTC time of each report")
    add("--rate", action="store_true", help="show counts per second of elapsed time")
    parser.add_format(FORMATS)
    add("--input", metavar="FILE", help="show a recording; - is standard input")
    add("--record", metavar="FILE", help="also write the samples to a recording")
    add("--overhead", action="store_true", help="report what counting costs the host")
    add("--probe", metavar="PROBE", help="use this way to read exits; see kstats doctor")
    add("--debug", action="store_true", help="print what is loaded, and how")


def renderer(args: argparse.Namespace, interval: float | None) -> Renderer:
    """The renderer asked for; the table's says when a report is not of ``interval`` seconds."""
    if args.format == "table":
        wanted = None if interval == FOREVER else interval
        return TextRenderer(sys.stdout, timestamps=args.timestamps, interval=wanted)
    return FORMATS[args.format](sys.stdout)


def show(  # noqa: PLR0913 - what views have in common, and in what they differ
    args: argparse.Namespace,
    view: View,
    collect: Callable[[], Source],
    interval: float | None,
    count: int | None,
    *,
    only: Choice | None = None,
    needs: Collection[str] = (),
    coarser: ExactingView | None = None,
) -> None:
    """Shows what is counted from now on, or what was recorded.

    Args:
        args: The options, those of :func:`add_arguments` among them.
        view: What turns samples into reports.
        collect: Makes the source of what is wanted on this host.
        interval: Seconds of a report. None: a second, and with a recording as it was made.
        count: How many reports; None for no end.
        only: The threads to show of a recording; ``collect`` knows for itself.
        needs: What the view shows of what :attr:`kstats.recording.Header.counted` may lack.
        coarser: What takes its place, with a word, if that is lacking.
    """
    if args.input is not None:
        with replayed(args, only, coarser.needs if coarser else needs) as recorded:
            if coarser and (lacking := recorded.lacking(needs)):
                print_errors([f"{lacking}: less is shown"])
                view = coarser
            seconds = recorded.interval if interval is None else interval
            report(recorded.samples(interval, count, only), view, renderer(args, seconds))
        return
    seconds = EVERY_SECOND if interval is None else interval
    with counted(args, collect, seconds, count) as (samples, meter):
        report(samples, with_overhead(view, meter), renderer(args, seconds))


@contextmanager
def replayed(
    args: argparse.Namespace, only: Choice | None, needs: Collection[str]
) -> Iterator[replay.Replay]:
    """The recording that --input names; what it has to say at its end is said after the block."""
    if args.overhead:
        raise UsageError(
            "--overhead needs live counting; it cannot be used with --input",
            "leave out one of them",
        )
    with replay.Replay(args, (*needs, *(("threads",) if only else ()))) as recorded:
        yield recorded
        print_errors(recorded.notes())


def with_overhead(view: View, meter: Meter | None) -> View:
    """The view, with what a meter measured before each sample if there is one."""
    return OverheadView(view, lambda: meter.overhead) if meter else view


@contextmanager
def counted(
    args: argparse.Namespace, collect: Callable[[], Source], interval: float, count: int | None
) -> Iterator[tuple[Generator[Sample, None, None], Meter | None]]:
    """What is counted from now on, and kept where --record says; with --overhead, a meter of it."""
    with collect() as source, ExitStack() as stack:
        if args.debug:
            describe(source)
        meter = None
        if args.overhead and isinstance(source, Collector):
            meter = Meter(source.loaded, source.target.host)
        samples = live(source, interval, count, meter)
        if args.record is not None:
            header = recording.header_of(source, None if interval == FOREVER else interval)
            writer = stack.enter_context(recording.Writer(args.record, header))
            samples = kept(samples, writer)
        yield samples, meter


def kept(
    samples: Generator[Sample, None, None], writer: recording.Writer
) -> Generator[Sample, None, None]:
    """The samples, each written before it is shown."""
    with closing(samples):
        for sample in samples:
            writer.write(sample)
            yield sample


def live(
    source: Source, interval: float, count: int | None, meter: Meter | None = None
) -> Generator[Sample, None, None]:
    """Samples until ``count`` is reached or a signal comes, then once more what was counted.

    Signals are kept for it until it is closed, so that no report is torn. A ``meter`` measures
    just before each sample.
    """
    with deferred_signals():
        ticker = Ticker(interval)
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


def report(samples: Generator[Sample, None, None], view: View, renderer: Renderer) -> None:
    """Shows every sample as ``view`` turns it, and closes where they come from.

    People who get nothing but headings are told that this is no fault.
    """
    empty = False
    with closing(samples):
        for number, sample in enumerate(samples):
            table = view.table(sample)
            empty = not table.rows and (empty or not number)
            with streams.writing():
                renderer.write(table)
            if not renderer.carries_notes:
                print_errors(table.notes)
    if empty and isinstance(renderer, TextRenderer) and sys.stdout.isatty():
        print_errors([_NOTHING])


def describe(source: Source) -> None:
    """What --debug says: what is loaded, and how."""
    print_errors(source.description())


def print_errors(lines: Iterable[str]) -> None:
    """Lines on standard error, as ours."""
    for line in lines:
        print(f"kstats: {line}", file=sys.stderr)
