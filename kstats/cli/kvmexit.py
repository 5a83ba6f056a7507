"""``kvmexit``: the arguments and the output of the manual page it is known by."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import attrs

from kstats.cli import guarded, options, streams, thread_options
from kstats.cli.options import FOREVER
from kstats.cli.session import Session, Source, report
from kstats.cli.thread_options import ThreadOptions
from kstats.cli.view_options import Wanted
from kstats.escape import printable
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

kstats exits has more axes and formats. Exit status: see kstats --help.
"""


def parser() -> options.Parser:
    """Return the command line of ``kvmexit``."""
    p = options.Parser(
        "kvmexit",
        "kvmexit [-h] [-p PID [-v VCPU | -a]] [-t TID | -T 'TID1,TID2'] [--input FILE]"
        " [--debug]\n               [duration]",
        "Display the reasons of VM exits and how often each occurred.",
        _EPILOG,
    )
    thread_options.add_arguments(p, short=True)
    p.add_argument("duration", nargs="?", help="seconds to count (default: until ^C)")
    p.add_argument("--input", metavar="FILE", help="show a recording; - is standard input")
    p.add_argument("--debug", action="store_true", help="print what is loaded, and how")
    return p


@attrs.frozen(kw_only=True)
class KvmexitOptions(ThreadOptions):
    """The options of ``kvmexit``; ``duration`` is as it was written, for the title."""

    duration: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kvmexit`` with ``argv``; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: run(words), debug="--debug" in words, prog="kvmexit")


def run(words: list[str]) -> int:
    """Run ``kvmexit``; return the exit status."""
    streams.heed_signals()
    given = parser().parse(words, KvmexitOptions)
    interval = FOREVER if given.duration is None else options.seconds(given.duration)
    wanted = attrs.evolve(given, interval=interval, count=1)
    of_recording = Wanted(("threads",), wanted.threads)
    with Session.open(wanted, lambda: _collect(wanted), of_recording) as session:
        with streams.writing() as out:
            out.write(_title(wanted))
        report(session.samples, KvmexitView(_axes(wanted)), TextRenderer(sys.stdout))
    return 0


def _collect(wanted: KvmexitOptions) -> Source:
    from kstats.loader import process  # noqa: PLC0415 - recordings do not need it

    with process.early(wanted.loader) as started:
        from kstats.cli import live  # noqa: PLC0415 - while the worker starts

        return live.threads(wanted, started)


def _axes(wanted: KvmexitOptions) -> tuple[str, ...]:
    if wanted.tids or wanted.alltids:
        return "tid", "reason"
    selected = wanted.pid is not None or wanted.tid is not None
    return ("reason",) if selected else ("pid", "tid", "reason")


def _title(wanted: KvmexitOptions) -> str:
    end = "... Hit Ctrl-C to end." if wanted.input is None else f" of {printable(wanted.input)}"
    if wanted.duration is not None:
        end = f" after sleeping {wanted.duration} secs."
    return f"Display kvm exit reasons and statistics for {_subject(wanted)}{end}\n"


def _subject(wanted: KvmexitOptions) -> str:
    if wanted.tid is not None:
        return f"TID {wanted.tid}"
    if wanted.tids:
        return f"TIDS {[str(tid) for tid in wanted.tids]}"
    if wanted.vcpu is not None:
        return f"PID {wanted.pid} VCPU {wanted.vcpu}"
    if wanted.pid is not None:
        return f"PID {wanted.pid}" + (" and its all threads" if wanted.alltids else "")
    return "all threads"
