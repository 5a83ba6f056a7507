"""``kstats decode``: show what other tools recorded in the views of kstats."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import attrs

from kstats import arch as arches
from kstats import recording
from kstats.cli import options, session
from kstats.cli.ticker import Waiting, waiting
from kstats.errors import KstatsError, UsageError
from kstats.importers import FORMATS, Decoded, decode
from kstats.importers.sample_builder import NO_CPU
from kstats.model import Sample, count_only
from kstats.render import FOR_PEOPLE, WITH_REASONS, renderer
from kstats.render import FORMATS as OUTPUTS
from kstats.views import View, handlers
from kstats.views.exits import AXES, COUNT, ExitsView, parse_axes
from kstats.views.exits import Options as ExitsOptions
from kstats.views.latency import LatencyView
from kstats.views.latency import Options as LatencyOptions
from kstats.views.percpu import Options as PerCpuOptions
from kstats.views.percpu import PerCpuView

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CPU = "cpu"

INCOMPLETE = 8
"""The exit status if a large share of the exits was not understood."""

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
        *(f"  {name:<11} {known.about}" for name, known in FORMATS.items()),
        "",
        f"axes: {' '.join(axis for axis in AXES if axis != handlers.AXIS)}",
        "",
        "Times in traces are those of the trace's clock, which usually starts at boot. Lines that",
        "cannot be parsed are not counted; a note reports their number. See docs/other-tools.md.",
    ]
)


def parser() -> options.Parser:
    """Return the command line of ``kstats decode``."""
    p = options.Parser.of("decode", "FILE", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    add("file", metavar="FILE", help="what a tool wrote; - is standard input")
    add("--from", choices=FORMATS, dest="data", help="the tool that wrote FILE (default: detect)")
    add("--isa", metavar="ISA", help="the ISA of its exit codes (default: detect)")
    add("--view", choices=("exits", _CPU), help="which view (default exits)")
    add("--by", metavar="AXES", help="axes of the view exits, like cpu,tid,reason")
    text = "only the first N rows, and the sum of the others"
    add("--top", metavar="N", type=options.TOP, help=text)
    text = "show how long exits took, if the input is a table with such times"
    add("--latency", action="store_true", help=text)
    add("--reasons", action="store_true", help="view cpu: one column per reason that occurred")
    add("--total", action="store_true", help="view cpu: add a row with the sums")
    interval = partial(options.seconds, what="--interval")
    text = "one report per SECONDS of the trace"
    add("--interval", metavar="SECONDS", type=interval, help=text)
    add("--timestamps", action="store_true", help="print the time of each report")
    add("--rate", action="store_true", help="show counts per second, if the input has times")
    p.add_format(OUTPUTS)
    text = "write a recording instead, for --input; *.zst is compressed"
    add("-o", "--output", metavar="FILE", help=text)
    text = "of a trace, also record each exit that took longer: 0ns for all, 500us …"
    add("--slower-than", metavar="TIME", type=_slower_than, help=text)
    add("--debug", action="store_true", help="print the detected format and ISA")
    return p


@attrs.frozen(kw_only=True)
class DecodeOptions:
    """The options of ``kstats decode``; None where it detects or has a default."""

    file: str
    data: str | None
    isa: str | None
    view: str | None
    by: str | None
    top: int | None
    latency: bool
    reasons: bool
    total: bool
    interval: float | None
    timestamps: bool
    rate: bool
    format: str
    output: str | None
    slower_than: int | None
    debug: bool


def _slower_than(text: str) -> int:
    return 0 if text == "0ns" else options.threshold(text)


def run(words: list[str]) -> int:
    """Run ``kstats decode``; return the exit status."""
    wanted = parser().parse(words, DecodeOptions)
    with waiting() as wait, _opened(wanted.file, wait) as stream:
        decoded = decode(
            stream,
            format=wanted.data,
            isa=wanted.isa,
            interval=wanted.interval,
            slower_than=wanted.slower_than,
        )
        if wanted.debug:
            session.print_errors([f"{wanted.file}: {decoded.format} of {decoded.isa}"])
        if wanted.interval is not None:
            _require(decoded, "times", "--interval")
        if wanted.output is not None:
            if wanted.slower_than is not None:
                _require(decoded, "slow", "--slower-than")
            _record(decoded, wanted)
        else:
            _show(wanted, decoded)
    return INCOMPLETE if decoded.shortfall else 0


def _require(decoded: Decoded, what: str, option: str) -> None:
    if what not in FORMATS[decoded.format].tells:
        name = what.replace("cpu", "CPU")
        raise UsageError(f"{decoded.format} has no {name}", f"leave out {option}")


def _show(wanted: DecodeOptions, decoded: Decoded) -> None:
    if wanted.rate:
        _require(decoded, "times", "--rate")
    if wanted.view == _CPU:
        _require(decoded, "cpus", "--view cpu")
    writer = renderer(wanted.format, sys.stdout, timestamps=wanted.timestamps)
    people = wanted.format in FOR_PEOPLE
    samples = _samples(wanted, decoded)
    first = next(samples)
    view = _view(wanted, first)
    session.report(_with(first, samples), view, writer, people=people)


def _with(first: Sample, rest: Iterator[Sample]) -> Generator[Sample, None, None]:
    yield first
    yield from rest


def _record(decoded: Decoded, wanted: DecodeOptions) -> None:
    """Write all samples to a new recording: its host is unknown, so none is continued."""
    path = Path(wanted.output or "")
    kept = {"entries", "threads", *(("slow",) if wanted.slower_than is not None else ())}
    if path.exists():
        raise UsageError(f"{path} exists already", "name another file, or remove it")
    samples = iter(decoded)
    first = next(samples)
    isa = arches.isa(decoded.isa)
    start = first.time - first.elapsed
    header = recording.Header(
        arch=first.arch,
        clock=recording.Clock(start, start),
        isas=(recording.IsaTable.of(isa),),
        interval=wanted.interval,
        counted=("exits", *sorted(_contents(decoded, first) & kept)),
    )
    with recording.Writer(path, header) as writer:
        for sample in chain([first], samples):
            writer.write(_recordable(sample))
    _warn(decoded)


def _contents(decoded: Decoded, first: Sample) -> frozenset[str]:
    """Return what a file contains; only the columns of a table show whether it has threads."""
    threads = frozenset({"threads"} if first.threads else ())
    return FORMATS[decoded.format].tells | threads


def _recordable(sample: Sample) -> Sample:
    """Return a sample without latencies that have no distribution, which recordings need."""
    if not sample.timed:
        return sample
    exits = {
        code: {place: count_only(of.count) for place, of in places.items()}
        for code, places in sample.exits.items()
    }
    note = "the times of exits are not recorded: they have no distribution"
    return attrs.evolve(sample, exits=exits, timed=False, notes=(*sample.notes, note))


@contextmanager
def _opened(name: str, wait: Waiting) -> Generator[BinaryIO, None, None]:
    """Open a file; a signal ends it, so what came through a pipe until then is shown."""
    if not name:
        raise KstatsError("no file given", "- is standard input")
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
    """A file that puts its name into its errors: an OSError without one comes from output."""

    def __init__(self, name: str, wait: Waiting) -> None:
        self._wait = wait
        self._began = False
        stdin = name == "-"
        super().__init__(sys.stdin.fileno() if stdin else name, closefd=not stdin)
        self._called = "standard input" if stdin else name

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read; raise KstatsError on failure, KeyboardInterrupt on a signal before any data."""
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


def _view(wanted: DecodeOptions, first: Sample) -> View:
    if wanted.view == _CPU:
        return PerCpuView(
            PerCpuOptions(
                total=wanted.total,
                rate=wanted.rate,
                reasons=wanted.reasons,
                detail=wanted.format in WITH_REASONS,
            )
        )
    by = _default_axes(first) if wanted.by is None else parse_axes(wanted.by)
    if handlers.AXIS in by:
        raise UsageError("decoded data cannot be shown by handler", "count live: kstats exits")
    if wanted.latency:
        return LatencyView(LatencyOptions(by=by, top=wanted.top, rate=wanted.rate))
    return ExitsView(ExitsOptions(by=by, top=wanted.top, sort=COUNT.key, rate=wanted.rate))


def _default_axes(first: Sample) -> tuple[str, ...]:
    """Return the reason, and the most precise axis of threads that the input contains."""
    threads = first.threads.values()
    if any(thread.tid for thread in threads):
        return ("tid", "reason")
    if any(thread.vcpu is not None for thread in threads):
        return ("vcpu", "reason")
    return ("vm", "reason") if threads else ("reason",)


def _samples(wanted: DecodeOptions, decoded: Decoded) -> Generator[Sample, None, None]:
    for sample in decoded:
        if wanted.view == _CPU and _has_no_cpu(sample):
            raise KstatsError("the trace has no CPUs", "perf script -F +cpu adds them")
        _warn(decoded)
        if wanted.latency and not sample.timed:
            why = [note for note in sample.notes if "times" in note]
            raise KstatsError(
                "no times of exits can be shown", "; ".join(why) or "leave out --latency"
            )
        yield sample


def _warn(decoded: Decoded) -> None:
    """Print what is missing, before the last report."""
    if decoded.shortfall:
        hint = f"hint: it was read as {decoded.format} of {decoded.isa}; see --from and --isa"
        session.print_errors([decoded.shortfall, hint])


def _has_no_cpu(sample: Sample) -> bool:
    return any(place.cpu == NO_CPU for places in sample.exits.values() for place in places)
