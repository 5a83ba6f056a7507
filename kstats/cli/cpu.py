"""``kstats -v``: VM entries and exits per physical CPU, live."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from difflib import get_close_matches

import kstats
from kstats import arch as arches
from kstats import cpulist
from kstats.cli import COMMANDS, options, session
from kstats.collector.live import Collector, Target
from kstats.errors import UsageError
from kstats.host import Host
from kstats.views.percpu import Options, PerCpuView

_DESCRIPTION = """\
Show which VM exits happen on which physical CPU.

  kstats -v [interval [count]]   a table per physical CPU, every second until ^C
  kstats exits [duration]        exits by VM, vCPU, reason and more, in any combination
  kstats vcpu [interval [count]] exits, injected interrupts and more per virtual CPU
  kvmstat [interval [count]]     the same, with the operands of illumos' kvmstat
  kvmexit [options] [duration]   the arguments and the output of bcc's kvmexit
  kstats record [-o FILE]        keep samples; every view shows them with --input FILE
  kstats doctor                  what this host has, lacks, and how to get it
  kstats compare A B             recordings, or this host, side by side by category
  kstats report FILE             a page with pictures of recordings
  kstats explain REASON          what an exit is, why there may be many, and what helps
  kstats decode FILE             what perf, ftrace, kvmexit or kvm_stat have recorded
  kstats arch [ISA]              the tables of exit codes, also for other tools
  kstats completion SHELL        what makes bash, zsh or fish complete options and commands

Each has a --help of its own, which tells more.
"""

_EPILOG = """\
Counts are those of the interval, or per second with --rate. All columns after vm_exit sum to it.
Lines that begin with # say what was not counted.

exit status: 0 done, also after ^C; 1 failed; 2 usage; 3 privileges; 4 this host shows no exits;
5 the BPF program does not load; 6 a backend is broken; 7 a recording cannot be read or written;
10 kstats compare: a ratio reached its threshold; 130 ^C before anything was shown.
"""

_PROGRAMS = ("kvmexit", "kvmstat")
"""They are no commands of kstats."""


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
    """The command line of ``kstats -v``."""
    p = _Parser(
        prog="kstats",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="kstats -v [options] [interval [count]]",
        allow_abbrev=False,
    )
    p.add_argument("-v", action="store_true", dest="per_cpu", help="the table per physical CPU")
    p.add_argument("interval", nargs="?", help="seconds between reports (default 1)")
    p.add_argument("count", nargs="?", help="number of reports (default: until ^C)")
    p.add_argument("-d", metavar="SECONDS", dest="delay", help="the interval, as in Fuchsia")
    p.add_argument("-n", metavar="TIMES", dest="times", help="the count, as in Fuchsia")
    p.add_argument("--cpus", metavar="LIST", help="only these CPUs, like 0-3,8")
    p.add_argument("--nonzero", action="store_true", help="only CPUs with entries or exits")
    p.add_argument("--total", action="store_true", help="a last row with the sums")
    p.add_argument("--reasons", action="store_true", help="every reason that occurred, by name")
    session.add_arguments(p, "-t")
    p.add_argument("--version", action="version", version=f"kstats {kstats.__version__}")
    return p


def run(words: list[str]) -> int:
    """Runs ``kstats -v``; returns the exit status."""
    if words and words[0] in _PROGRAMS:
        raise UsageError(
            f"{words[0]} is a program of its own", f"leave out kstats: {shlex.join(words)}"
        )
    args = parser().parse(words or ["--help"])
    if not args.per_cpu:
        raise _no_view(args, words)
    if args.interval in COMMANDS:
        raise UsageError(
            f"-v is a view of its own, beside {args.interval}",
            f"leave out -v: kstats {args.interval}",
        )
    given = _one_of(args.interval, args.delay, "interval", "-d")
    interval = None if given is None else options.seconds(given)
    wanted = _one_of(args.count, args.times, "count", "-n")
    count = None if wanted is None else options.times(wanted)
    # What makes no sense is told before what this host lacks.
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


def _no_view(args: argparse.Namespace, words: list[str]) -> UsageError:
    if args.interval is None or args.interval.replace(".", "").isdigit():
        return UsageError("which view?", f"per physical CPU: kstats -v {shlex.join(words)}")
    close = get_close_matches(args.interval, (*COMMANDS, *_PROGRAMS), n=1)
    meant = [name if name in _PROGRAMS else f"kstats {name}" for name in close]
    hint = f"did you mean {meant[0]}?" if meant else "see kstats --help"
    return UsageError(f"there is no command {args.interval!r}", hint)


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
        nonzero=args.nonzero,
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
