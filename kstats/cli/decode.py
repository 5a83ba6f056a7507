"""``kstats decode``: what other tools recorded, in the views of kstats."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kstats import arch as arches
from kstats import recording
from kstats.cli import options, session
from kstats.cli.ticker import Waiting, waiting
from kstats.errors import KstatsError, UsageError
from kstats.importers import FORMATS, Decoded, decode
from kstats.importers.sample_builder import NO_CPU
from kstats.model import Sample
from kstats.render import FORMATS as OUTPUTS
from kstats.views import View
from kstats.views.exits import AXES, COUNT, ExitsView, parse_axes
from kstats.views.exits import Options as ExitsOptions
from kstats.views.percpu import Options as PerCpuOptions
from kstats.views.percpu import PerCpuView

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_OF_EXITS, _OF_PERCPU = ("by", "top"), ("reasons", "total")
_OF_VIEWS = ("view", *_OF_EXITS, *_OF_PERCPU, "timestamps", "rate")
"""Options that only the view exits, only the view cpu, or no recording takes."""

_DESCRIPTION = """\
  perf script | kstats decode -
  kstats decode /sys/kernel/tracing/trace --view cpu
  kstats decode kvm_stat.csv -f json
  kstats decode codes.txt --isa svm
  kstats decode trace.txt --interval 1 -o trace.jsonl    a recording, for any view's --input
"""

_EPILOG = "\n".join(
    [
        "input formats, recognized by content:",
        *(f"  {name:<9} {known.about}" for name, known in FORMATS.items()),
        "",
        f"axes: {' '.join(AXES)}",
        "",
        "Times in traces are those of the trace's clock, which mostly begins at boot. Lines that",
        "make no sense are not counted; how many there were is said. More: docs/other-tools.md.",
    ]
)


def parser() -> options.Parser:
    """The command line of ``kstats decode``."""
    p = options.Parser.of("decode", "FILE", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    add("file", metavar="FILE", help="what a tool wrote; - is standard input")
    add("--from", choices=FORMATS, dest="data", help="the tool that wrote FILE (default: detect)")
    add("--isa", metavar="ISA", help="the ISA of its exit codes (default: detect)")
    add("--view", choices=("exits", "cpu"), help="which view (default exits)")
    add("--by", metavar="AXES", help="axes of the view exits, like cpu,tid,reason")
    add("--top", metavar="N", help="only the N first rows, and the sum of the others")
    add("--reasons", action="store_true", help="view cpu: every reason by name")
    add("--total", action="store_true", help="view cpu: a last row with the sums")
    add("--interval", metavar="SECONDS", help="a report for each so many seconds of a trace")
    add("--timestamps", action="store_true", help="print the time of each report")
    add("--rate", action="store_true", help="per second, where the data tell times")
    p.add_format(OUTPUTS)
    text = "write a recording instead, for --input; *.zst is compressed"
    add("-o", "--output", metavar="FILE", help=text)
    add("--debug", action="store_true", help="say what the file was taken for")
    return p


def run(words: list[str]) -> int:
    """Runs ``kstats decode``; returns the exit status."""
    args = parser().parse(words)
    _check(args)
    interval = None if args.interval is None else options.seconds(args.interval, "--interval")
    with waiting() as wait, _opened(args.file, wait) as stream:
        decoded = decode(stream, format=args.data, isa=args.isa, interval=interval)
        if args.debug:
            session.print_errors([f"{args.file}: {decoded.format} of {decoded.isa}"])
        if interval is not None and "times" not in FORMATS[decoded.format].tells:
            raise UsageError(f"{decoded.format} does not tell times", "leave out --interval")
        if args.output is not None:
            _record(decoded, Path(args.output), interval)
        else:
            _show(args, decoded)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises UsageError for an option that would be without effect."""
    unfit: tuple[str, ...]
    if args.output is not None:
        unfit, why = _OF_VIEWS, "--output writes all data to a recording"
    elif args.view == "cpu":
        unfit, why = _OF_EXITS, "it is of the view exits"
    else:
        unfit, why = _OF_PERCPU, "it is of the view cpu"
    for option in unfit:
        if getattr(args, option):
            raise UsageError(f"--{option} has no effect here: {why}", "leave it out")


def _show(args: argparse.Namespace, decoded: Decoded) -> None:
    view = _view(args, decoded)
    session.report(_samples(args, decoded), view, session.renderer(args, session.FOREVER))


def _record(decoded: Decoded, path: Path, interval: float | None) -> None:
    """Keeps all samples; whose they are is not known, so nothing is continued."""
    if path.exists():
        raise UsageError(f"{path} is there already", "name another file, or remove it")
    samples = iter(decoded)
    first = next(samples)
    isa = arches.isa(decoded.isa)
    start = first.time - first.elapsed
    header = recording.Header(
        arch=first.arch,
        clock=recording.Clock(start, start),
        isas=(recording.IsaTable.of(isa),),
        interval=interval,
        counted=("exits", *sorted(FORMATS[decoded.format].tells & {"entries", "threads"})),
    )
    with recording.Writer(path, header) as writer:
        for sample in chain([first], samples):
            writer.write(sample)


@contextmanager
def _opened(name: str, wait: Waiting) -> Generator[BinaryIO, None, None]:
    """The file, which a signal ends: of a pipe that lasts, what came is shown."""
    if not name:
        raise KstatsError("no file is named", "- is standard input")
    if name == "-" and sys.stdin is None:  # what Python has for a stream that was closed
        raise _cannot_read("standard input", "it is closed")
    try:
        file = wait.on(lambda: _File(name, wait), None)
    except OSError as error:
        raise _cannot_read(name, error.strerror) from error
    if file is None:  # a FIFO without a writer, until a signal came
        raise KeyboardInterrupt
    with io.BufferedReader(file) as stream:
        yield stream


class _File(io.FileIO):
    """A file that says its name if it cannot be read: other errors are of what is written."""

    def __init__(self, name: str, wait: Waiting) -> None:
        self._wait = wait
        self._began = False
        stdin = name == "-"
        super().__init__(sys.stdin.fileno() if stdin else name, closefd=not stdin)
        self._called = "standard input" if stdin else name

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Called by what buffers; raises KstatsError, or KeyboardInterrupt if nothing came."""
        try:
            size = self._wait.on(lambda: super(_File, self).readinto(buffer), None)
        except OSError as error:
            raise _cannot_read(self._called, error.strerror) from error
        if size is None and not self._began:
            raise KeyboardInterrupt
        self._began = True
        return size or 0


def _cannot_read(name: str, why: str | None) -> KstatsError:
    return KstatsError(f"cannot read {name}: {why}")


def _view(args: argparse.Namespace, decoded: Decoded) -> View:
    tells = FORMATS[decoded.format].tells
    if args.rate and "times" not in tells:
        raise UsageError(f"{decoded.format} does not tell times", "leave out --rate")
    if args.view == "cpu":
        if "cpus" not in tells:
            raise UsageError(f"{decoded.format} does not tell CPUs", "leave out --view cpu")
        return PerCpuView(
            PerCpuOptions(
                total=args.total,
                rate=args.rate,
                reasons=args.reasons,
                detail=args.format == "json",
            )
        )
    default = ("tid", "reason") if "threads" in tells else ("reason",)
    by = default if args.by is None else parse_axes(args.by)
    top = None if args.top is None else options.times(args.top, "--top", "see all rows")
    return ExitsView(ExitsOptions(by=by, top=top, sort=COUNT.key, rate=args.rate))


def _samples(args: argparse.Namespace, decoded: Decoded) -> Generator[Sample, None, None]:
    for sample in decoded:
        if args.view == "cpu" and _has_no_cpu(sample):
            raise KstatsError("the trace does not tell CPUs", "perf script -F +cpu does")
        yield sample


def _has_no_cpu(sample: Sample) -> bool:
    return any(place.cpu == NO_CPU for places in sample.exits.values() for place in places)
