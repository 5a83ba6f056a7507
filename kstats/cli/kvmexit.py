"""``kvmexit``: the arguments and the output of the manual page it is known by."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Sequence

from kstats.cli import exits, guarded, options, session, streams
from kstats.cli.replay import Replay
from kstats.escape import printable
from kstats.model import Sample
from kstats.render.text import TextRenderer
from kstats.views.kvmexit import KvmexitView

_EPILOG = """\
examples:
  kvmexit                          all threads, until ^C
  kvmexit 6                        all threads, for 6 seconds
  kvmexit -p 1273795 5             process 1273795 as a whole
  kvmexit -p 1273795 5 -a          each of its threads
  kvmexit -p 1273795 -v 0          its vCPU 0, until ^C
  kvmexit -t 1273819 10            thread 1273819
  kvmexit -T '1273820,1273819'     two threads

More axes, more formats: kstats exits --help. Exit status: as kstats; see kstats --help.
"""


def parser() -> options.Parser:
    """The command line of ``kvmexit``."""
    p = options.Parser(
        "kvmexit",
        "kvmexit [-h] [-p PID [-v VCPU | -a]] [-t TID | -T 'TID1,TID2'] [--input FILE]"
        " [--debug]\n               [duration]",
        "Display the reasons of VM exits and how often each occurred.",
        _EPILOG,
    )
    exits.add_thread_arguments(p, short=True)
    p.add_argument("duration", nargs="?", help="seconds to count (default: until ^C)")
    p.add_argument("--input", metavar="FILE", help="show a recording of kstats record")
    p.add_argument("--debug", action="store_true", help="say what is loaded, and how")
    p.set_defaults(vm=None, detail=None, reason=None)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``kvmexit`` with ``argv``; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: run(words), debug="--debug" in words, prog="kvmexit")


def run(words: list[str]) -> int:
    """Runs ``kvmexit``; returns the exit status, raises KstatsError."""
    args = parser().parse(words)
    interval = session.FOREVER if args.duration is None else options.seconds(args.duration)
    if args.input is not None:
        return _show_recorded(args, interval)
    with exits.collect(args) as collector:
        if args.debug:
            session.describe(collector)
        _show(args, session.live(collector, interval, 1))
    return 0


def _show_recorded(args: argparse.Namespace, interval: float) -> int:
    with Replay(args, ("threads",)) as recorded:
        _show(args, recorded.samples(interval, 1, exits.choice(args) or None))
        session.print_errors(recorded.notes())
    return 0


def _show(args: argparse.Namespace, samples: Generator[Sample, None, None]) -> None:
    with streams.writing() as out:
        out.write(_title(args))
    session.report(samples, KvmexitView(_axes(args)), TextRenderer(sys.stdout))


def _axes(args: argparse.Namespace) -> tuple[str, ...]:
    if args.tids or args.alltids:
        return "tid", "reason"
    return ("reason",) if args.pid or args.tid else ("pid", "tid", "reason")


def _title(args: argparse.Namespace) -> str:
    end = "... Hit Ctrl-C to end." if args.input is None else f" of {printable(args.input)}"
    if args.duration is not None:
        end = f" after sleeping {args.duration} secs."
    return f"Display kvm exit reasons and statistics for {_whose(args)}{end}\n"


def _whose(args: argparse.Namespace) -> str:
    if args.tid:
        return f"TID {args.tid}"
    if args.tids:
        return f"TIDS {args.tids.split(',')}"
    if args.vcpu:
        return f"PID {args.pid} VCPU {args.vcpu}"
    if args.pid:
        return f"PID {args.pid}" + (" and its all threads" if args.alltids else "")
    return "all threads"
