"""``kstats cpu`` and ``kstats -v``: VM entries and exits per physical CPU."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from difflib import get_close_matches

from kstats import arch as arches
from kstats import cpulist
from kstats.cli import COMMANDS, PROGRAMS, options, session
from kstats.collector.live import Collector, Target
from kstats.errors import UsageError
from kstats.host import Host
from kstats.views.percpu import BY, Options, PerCpuView

_DESCRIPTION = """\
  kstats cpu                      every second until ^C
  kstats cpu 5                    every five seconds
  kstats cpu 1 10                 ten reports, one per second
  kstats -v -d 1 -n 10            the same, as in Fuchsia
  kstats cpu --by socket          the CPUs of each socket together
  kstats cpu --top 5 --sort ept   the five CPUs with the most EPT exits
"""

_EPILOG = """\
Counts are those of the interval, or per second with --rate. All columns after vm_exit sum to it.
Counts that outgrow their column are abbreviated, as in 12.3M; JSON and CSV have them in full.
Lines that begin with # report losses and other notes. Exit status: see kstats --help.
"""


def _columns_help() -> str:
    """The columns of every architecture and what they mean, from the architectures themselves."""
    paragraphs = []
    for arch in arches.arches():
        names = [f"{c.group}({c.label})" if c.group else c.label for c in arch.columns]
        lines = [f"  {n:<12} {c.meaning}" for n, c in zip(names, arch.columns, strict=True)]
        paragraphs.append("\n".join([f"columns on {arch.title}:", *lines]))
    return "\n\n".join([*paragraphs, _EPILOG])


class _Parser(options.Parser):
    def format_help(self) -> str:
        """Called by argparse: only help needs to look for installed backends."""
        self.epilog = _columns_help()
        return super().format_help()


def parser() -> options.Parser:
    """Return the command line of ``kstats cpu``."""
    p = _Parser.of("cpu", "[interval [count]]", _DESCRIPTION)
    text = "no effect: kstats -v is kstats cpu"
    p.add_argument("-v", action="store_true", dest="per_cpu", help=text)
    p.add_argument("interval", nargs="?", help="seconds between reports (default 1)")
    p.add_argument("count", nargs="?", help="number of reports (default: until ^C)")
    p.add_argument("-d", metavar="SECONDS", dest="delay", help="the interval, as in Fuchsia")
    p.add_argument("-n", metavar="TIMES", dest="times", help="the count, as in Fuchsia")
    p.add_argument("--cpus", metavar="LIST", help="only these CPUs, like 0-3,8")
    text = "one row per node, socket or core, with the sums of its CPUs (default cpu)"
    p.add_argument("--by", choices=BY, default="cpu", help=text)
    p.add_argument("--nonzero", action="store_true", help="only rows with entries or exits")
    p.add_argument("--sort", metavar="COLUMN", help="sort rows by this column, largest first")
    p.add_argument("--top", metavar="N", help="only the first N rows, and the sum of the others")
    p.add_argument("--total", action="store_true", help="add a row with the sums")
    p.add_argument("--reasons", action="store_true", help="one column per reason that occurred")
    session.add_arguments(p, "-t")
    return p


def run(words: list[str]) -> int:
    """Run ``kstats cpu``; return the exit status."""
    return _watch(parser().parse(words))


def run_fuchsia(words: list[str]) -> int:
    """Run ``kstats -v``, or report what the words of ``kstats`` lack; return the exit status."""
    if words[0] in PROGRAMS:
        raise UsageError(
            f"{words[0]} is a separate program", f"leave out kstats: {shlex.join(words)}"
        )
    args = parser().parse(words)
    if not args.per_cpu:
        raise _no_command(args, words)
    if args.interval in COMMANDS:
        raise UsageError(
            f"-v cannot be combined with the command {args.interval}",
            f"leave out -v: kstats {args.interval}",
        )
    return _watch(args)


def _watch(args: argparse.Namespace) -> int:
    given = _one_of(args.interval, args.delay, "interval", "-d")
    interval = None if given is None else options.seconds(given)
    wanted = _one_of(args.count, args.times, "count", "-n")
    count = None if wanted is None else options.times(wanted)
    # A wrong option is reported before a missing prerequisite of the host.
    host = Host()
    view = PerCpuView(_view_options(args, host))
    session.show(
        args,
        view,
        lambda: Collector(Target.find(host, probe=args.probe)),
        interval,
        count,
        needs=("entries",),
    )
    return 0


def _no_command(args: argparse.Namespace, words: list[str]) -> UsageError:
    if args.interval is None or args.interval.replace(".", "").isdigit():
        hint = f"per physical CPU: kstats cpu {shlex.join(words)}"
        return UsageError("no command given", hint)
    close = get_close_matches(args.interval, (*COMMANDS, *PROGRAMS), n=1)
    meant = [name if name in PROGRAMS else f"kstats {name}" for name in close]
    hint = f"did you mean {meant[0]}?" if meant else "see kstats --help"
    return UsageError(f"unknown command {args.interval!r}", hint)


def _one_of(operand: str | None, option: str | None, name: str, flag: str) -> str | None:
    if operand is not None and option is not None:
        raise UsageError(f"{name} is given twice, also by {flag}", "leave out one of them")
    return operand if option is None else option


def _view_options(args: argparse.Namespace, host: Host) -> Options:
    cpus = None
    if args.cpus is not None:
        cpus = cpulist.parse(args.cpus)
        if args.input is None:
            _check_cpus(cpus, host.possible_cpus())
    return Options(
        cpus=cpus,
        by=args.by,
        nonzero=args.nonzero,
        sort=args.sort or "",
        top=None if args.top is None else options.times(args.top, "--top", "see all rows"),
        total=args.total,
        rate=args.rate,
        reasons=args.reasons,
        detail=args.format == "json",
    )


def _check_cpus(cpus: Sequence[int], possible: Sequence[int]) -> None:
    missing = [cpu for cpu in cpus if cpu not in possible]
    if missing:
        raise UsageError(
            f"this host has no CPU {missing[0]}", f"it has {possible[0]} to {possible[-1]}"
        )
