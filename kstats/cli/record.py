"""``kstats record``: write samples to a file, to be shown later and elsewhere."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Self

import attrs

from kstats import notify
from kstats.cli import options, session
from kstats.errors import UsageError
from kstats.recording import Rotation, Writer, header_of

DEFAULT = "kstats.jsonl.zst"

SLOWER_THAN = 10_000_000
"""The threshold of slow exits with --all, nanoseconds: what a guest's user may notice."""

_DESCRIPTION = """\
  kstats record                       a sample a second until ^C, into kstats.jsonl.zst
  kstats record -o web.jsonl 10 360   a sample every 10 seconds, for an hour
  kstats record --all                 also latency, vCPU time and slow exits

  kstats cpu --input kstats.jsonl.zst           later, on any machine: every view,
  kstats exits --input kstats.jsonl.zst 60 10   with the recorded intervals or longer ones
"""

_EPILOG = """\
An existing file is continued. Files named *.zst are compressed, which needs python3-zstandard.
docs/recording.md describes the format.

SIGHUP starts a new file, as --rotate-size and --rotate-time do; the old file gets a name with its
time and a number: kstats.20260131T120000Z-1.jsonl.zst. If the file was moved away, a new one is
created. On a terminal SIGHUP ends the recording.

Exit status: see kstats --help.
"""

_UNITS: Mapping[str, int] = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SPANS: Mapping[str, int] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parser() -> options.Parser:
    """Return the command line of ``kstats record``."""
    p = options.Parser.of("record", "[interval [count]]", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    text = f"write samples here (default {DEFAULT}; - is standard output)"
    add("-o", "--output", metavar="FILE", default=DEFAULT, help=text)
    text = "record what every view needs (thread, the default), or only what kstats cpu and kstats "
    text += "exits by cpu and reason need (cpu), which costs least"
    add("--by", choices=("thread", "cpu"), default="thread", help=text)
    text = "also record latency, vCPU time, and slow exits above 10ms; measure the price first"
    add("--all", action="store_true", help=text)
    add("--latency", action="store_true", help="also record how long exits take")
    add("--time", action="store_true", help="also record where the time of vCPUs goes")
    text = "also record each exit that takes longer: 500us, 2ms …"
    add("--slower-than", metavar="TIME", type=options.threshold, help=text)
    text = "also record one kind of detail: msr, io, mmio, page, cr, hypercall or sysreg"
    add("--detail", metavar="KIND", help=text)
    text = "start a new file at this size, like 100M"
    add("--rotate-size", metavar="SIZE", type=_size, help=text)
    text = "start a new file after this time, like 1h or 1d"
    add("--rotate-time", metavar="TIME", type=_time, help=text)
    keep = partial(options.times, what="--keep", without="keep all")
    add("--keep", metavar="N", type=keep, help="keep only the N newest of the files rotated out")
    add("-q", "--quiet", action="store_true", help="print only errors")
    options.add_probe_arguments(p)
    options.add_interval_arguments(p, "samples")
    return p


@attrs.frozen(kw_only=True)
class RecordOptions:
    """The options of ``kstats record``.

    ``rotate_size`` is in bytes, ``slower_than`` in nanoseconds, other times are in seconds.
    """

    output: str
    by: str
    all: bool
    latency: bool
    time: bool
    slower_than: int | None
    detail: str | None
    interval: float | None
    count: int | None
    rotate_size: int | None
    rotate_time: int | None
    keep: int | None
    quiet: bool
    probe: str | None
    loader: str | None
    debug: bool

    @property
    def more(self) -> bool:
        """Whether more is recorded than by default."""
        asked = (self.slower_than, self.detail)
        return self.all or self.latency or self.time or any(one is not None for one in asked)


def run(words: list[str]) -> int:
    """Run ``kstats record``; return the exit status."""
    wanted = parser().parse(words, RecordOptions)
    interval = session.EVERY_SECOND if wanted.interval is None else wanted.interval
    rotation = Rotation(wanted.rotate_size, wanted.rotate_time, wanted.keep)
    with _collect(wanted) as source:
        if wanted.more and not wanted.quiet:
            session.print_errors(_overhead(source))
        header = header_of(source, interval)
        with (
            Writer(wanted.output, header, rotation) as writer,
            _Progress(writer, quiet=wanted.quiet) as show,
        ):
            if writer.removed and not wanted.quiet:
                session.print_errors([_removed(writer)])
            session.attached(source, writes=wanted.output, debug=wanted.debug)
            _install_sighup(writer.turn)
            notify.ready(interval)
            samples = session.live(source, interval, wanted.count)
            for sample in session.kept(samples, writer):
                show(sample.notes)
                notify.send(notify.ALIVE)
    return 0


def _collect(wanted: RecordOptions) -> session.Source:
    from kstats.cli import live, live_cpu  # noqa: PLC0415 - help does not need them

    if wanted.by == "cpu":
        return live_cpu.per_cpu(wanted.probe, loader=wanted.loader)
    if wanted.detail is not None:
        from kstats.views import details  # noqa: PLC0415 - few recordings need it

        details.check(wanted.detail)
    slower_than = SLOWER_THAN if wanted.all and wanted.slower_than is None else wanted.slower_than
    measured = live.Recorded(
        latency=wanted.all or wanted.latency,
        time=wanted.all or wanted.time,
        slower_than=slower_than,
        detail=wanted.detail,
    )
    return live.recorded(measured, wanted.probe, wanted.loader)


def _removed(writer: Writer) -> str:
    return (
        f"{writer.name}: removed {_bytes(writer.removed)} at the end: samples that were not"
        " completely written when the host or kstats stopped"
    )


def _overhead(source: session.Source) -> Iterator[str]:
    """Yield what counting costs this host, measured on its exits of this moment."""
    meter = session.meter_of(source)
    if meter is None:
        return
    meter.measure()
    cost = meter.overhead
    if cost.ns_per_exit is None:
        yield "overhead: unknown, no exit happened while it was measured"
    else:
        yield (
            f"overhead: {cost.ns_per_exit:.0f} ns per exit ({cost.timed} timed),"
            f" {cost.cpu_share:.3f} % of all CPUs"
        )


class _Progress:
    """Prints how much was recorded on standard error: at the end, and on a terminal all along."""

    def __init__(self, writer: Writer, *, quiet: bool) -> None:
        self._writer = writer
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._notes: tuple[str, ...] = ()

    def __call__(self, notes: tuple[str, ...]) -> None:
        """Count one more sample; print its notes if they are new."""
        if notes != self._notes and not self._quiet:
            self._clear()
            session.print_errors(notes)
        self._notes = notes
        if self._live:
            print(f"\r\x1b[K{self._so_far()}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._clear()
        if not self._quiet and kind not in (BrokenPipeError, KeyboardInterrupt):
            session.print_errors([f"recorded {self._so_far()}: {self._writer.name}"])

    def _clear(self) -> None:
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _so_far(self) -> str:
        return f"{self._writer.samples} samples, {_bytes(self._writer.size)}"


def _bytes(size: int) -> str:
    if size < 1 << 20:
        return f"{size / (1 << 10):.1f} KiB"
    return f"{size / (1 << 20):.1f} MiB"


def _install_sighup(turn: Callable[[], None]) -> None:
    """Let SIGHUP begin a new file, except on a terminal or where it is ignored (nohup)."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    if not ignored and not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, lambda *_: turn())


def _size(text: str) -> int:
    return _amount(text, "--rotate-size", _UNITS, "give bytes, or a unit as in 100M")


def _time(text: str) -> int:
    return _amount(text, "--rotate-time", _SPANS, "give seconds, or a unit as in 90m, 1h, 1d")


def _amount(text: str, option: str, units: Mapping[str, int], hint: str) -> int:
    found = re.fullmatch(r"(\d{1,12})([a-z]?)", text.lower(), re.ASCII)
    if not found or found[2] not in units or not int(found[1]):
        raise UsageError(f"invalid value {text!r} for {option}", hint)
    return int(found[1]) * units[found[2]]
