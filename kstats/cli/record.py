"""``kstats record``: keeps samples in a file, to be looked at later and elsewhere."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from kstats.cli import options, session
from kstats.collector.live import Collector, Counting, Target
from kstats.errors import UsageError
from kstats.host import Host
from kstats.recording import Rotation, Writer, header_of
from kstats.vms.registry import VmRegistry

DEFAULT = "kstats.jsonl.zst"

_DESCRIPTION = """\
  kstats record                       a sample a second until ^C, into kstats.jsonl.zst
  kstats record -o web.jsonl 10 360   a sample every 10 seconds, for an hour

  kstats cpu --input kstats.jsonl.zst           then, anywhere: any view of it,
  kstats exits --input kstats.jsonl.zst 60 10   as it was, or in intervals of any length
"""

_EPILOG = """\
A file that is there already is continued. Files named *.zst are compressed, which needs
python3-zstandard. The format: docs/recording.md.

SIGHUP begins a new file, as --rotate-size and --rotate-time do; the old one gets a name with its
time: kstats.20260131T120000Z.jsonl.zst. If the file was moved away, a new one takes its place. On
a terminal SIGHUP ends the recording.

exit status: as kstats; see kstats --help
"""

_BY: Mapping[str, str] = {
    "thread": "by CPU and thread: every view can be had of it",
    "cpu": "by CPU alone, which costs least: for kstats cpu, and exits by cpu and reason",
}

_UNITS: Mapping[str, int] = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SPANS: Mapping[str, int] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parser() -> options.Parser:
    """The command line of ``kstats record``."""
    p = options.Parser.of("record", "[interval [count]]", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    text = f"write samples here (default {DEFAULT}; - is standard output)"
    add("-o", "--output", metavar="FILE", help=text)
    add("--by", choices=_BY, default="thread", help="; ".join(map(": ".join, _BY.items())))
    add("--rotate-size", metavar="SIZE", help="begin a new file at this size, like 100M")
    add("--rotate-time", metavar="TIME", help="begin a new file every so often, like 1h or 1d")
    add("--keep", metavar="N", help="leave only the N last files of those before")
    add("-q", "--quiet", action="store_true", help="say nothing but errors")
    add("--probe", metavar="PROBE", help="force one way of reading exits; see doctor")
    add("--debug", action="store_true", help="say what is loaded, and how")
    add("interval", nargs="?", help="seconds between samples (default 1)")
    add("count", nargs="?", help="number of samples (default: until ^C)")
    return p


def run(words: list[str]) -> int:
    """Runs ``kstats record``; returns the exit status."""
    args = parser().parse(words)
    interval = 1.0 if args.interval is None else options.seconds(args.interval)
    count = None if args.count is None else options.times(args.count)
    rotation = _rotation(args)
    path = DEFAULT if args.output is None else args.output
    with _collector(args) as collector:
        if args.debug:
            session.describe(collector)
        header = header_of(collector, interval)
        with Writer(path, header, rotation) as writer, _Progress(writer, quiet=args.quiet) as show:
            _heed_hangups(writer.turn)
            for sample in session.kept(session.live(collector, interval, count), writer):
                show(sample.notes)
    return 0


def _collector(args: argparse.Namespace) -> Collector:
    host = Host()
    target = Target.find(host, probe=args.probe)
    counting: Counting = target.everything() if args.by == "thread" else target.per_cpu()
    return Collector(target, counting, VmRegistry(host) if args.by == "thread" else None)


class _Progress:
    """Says on standard error how far it is: while it goes on on a terminal, and at the end."""

    def __init__(self, writer: Writer, *, quiet: bool) -> None:
        self._writer = writer
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._notes: tuple[str, ...] = ()

    def __call__(self, notes: tuple[str, ...]) -> None:
        """Tells that one more sample was written; notes are told when they are new."""
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
        if not self._quiet and kind is not BrokenPipeError:
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


def _heed_hangups(turn: Callable[[], None]) -> None:
    """SIGHUP begins a new file; unless a terminal went away, or it is to be ignored (nohup)."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    if not ignored and not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, lambda *_: turn())


def _rotation(args: argparse.Namespace) -> Rotation:
    size = _amount(args.rotate_size, "--rotate-size", _UNITS, "bytes, or like 100M")
    seconds = _amount(args.rotate_time, "--rotate-time", _SPANS, "seconds, or like 90m, 1h, 1d")
    keep = None if args.keep is None else options.times(args.keep, "--keep", "keep all")
    if keep is not None and size is None and seconds is None:
        raise UsageError(
            "--keep says how many files to leave, but nothing makes new ones",
            "add --rotate-size or --rotate-time",
        )
    return Rotation(size, seconds, keep)


def _amount(text: str | None, option: str, units: Mapping[str, int], how: str) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,12})([a-z]?)", text.lower(), re.ASCII)
    if not found or found[2] not in units or not int(found[1]):
        raise UsageError(f"{option} {text!r} is no amount", f"give {how}")
    return int(found[1]) * units[found[2]]
