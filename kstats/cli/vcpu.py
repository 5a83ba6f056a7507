"""``kstats vcpu``: kvmstat's columns for each vCPU, live."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from kstats import arch as arches
from kstats.arch.kvmstat import Rule
from kstats.cli import exits, options, session
from kstats.collector.kvm_stats.source import KernelCounters
from kstats.collector.live import Collector, Target
from kstats.errors import UnsupportedHostError, UsageError
from kstats.host import Host
from kstats.views.vcpu import Options, VcpuView
from kstats.vms.registry import VmRegistry

_BPF, _KERNEL = "bpf", "kernel"
_NEEDS = {_BPF: ("threads",), _KERNEL: ("counters",)}
"""What a recording must have to be shown as one from either source."""

_EVERY_THREAD = {"vcpu": None, "alltids": False, "tid": None, "tids": None}
"""The options of ``kstats exits`` that choose threads of a process: all are vCPUs here."""

_DESCRIPTION = """\
  kstats vcpu                     every second until ^C
  kstats vcpu 5                   every five seconds
  kstats vcpu 1 10                ten reports, one per second
"""

EPILOG = """\
sources: bpf counts while it runs, for every VMM. kernel reads the counters that KVM keeps of every
vCPU anyway (Linux 5.14 and later): the guests pay nothing, but the VMM must have opened them, as
QEMU does since 8.1; other VMMs' vCPUs show -. kvmstat(1) tells where they differ.

A vCPU that is idle shows zeros. If all vCPUs of a VM stay zero, its guest may have panicked.
Exit status: as kstats; see kstats --help.
"""


class Parser(options.Parser):
    """A parser whose help tells what the columns mean on every architecture."""

    def format_help(self) -> str:
        """Called by argparse: only help needs to look for installed backends."""
        self.epilog = "\n\n".join([*_columns_help(), EPILOG])
        return super().format_help()


def _columns_help() -> Iterator[str]:
    for arch in arches.arches():
        for isa in arch.isas:
            if isa.name in arch.kvmstat:
                lines = [f"  {line}" for line in _meanings(arch.kvmstat[isa.name])]
                yield "\n".join([f"columns on {isa.title}:", *lines])


def _meanings(rules: Sequence[Rule]) -> Iterator[str]:
    """What each column counts; a second line where KVM's counter is something else."""
    for rule in rules:
        here = rule.is_counted or rule.stats
        yield f"{rule.column:<6} {rule.meaning}" if here else f"{rule.column:<6} -: {rule.meaning}"
        if here and (rule.differs or rule.not_kept):
            yield f"{'':6} --source kernel: {rule.differs or f'-: {rule.not_kept}'}"


def parser() -> options.Parser:
    """The command line of ``kstats vcpu``."""
    p = Parser.of("vcpu", "[interval [count]]", _DESCRIPTION, EPILOG)
    add_arguments(p)
    p.add_argument("-p", "--pid", metavar="PID", help="only this process")
    p.add_argument("--vm", metavar="VM", help="only this VM, by name or pid")
    p.add_argument("--nonzero", action="store_true", help="only vCPUs that did something")
    p.add_argument("--total", action="store_true", help="a last row with the sums")
    session.add_arguments(p)
    p.set_defaults(**_EVERY_THREAD)
    return p


def add_arguments(p: argparse.ArgumentParser) -> None:
    """The operands, and which source to read."""
    p.add_argument("interval", nargs="?", help="seconds between reports (default 1)")
    p.add_argument("count", nargs="?", help="number of reports (default: until ^C)")
    p.add_argument(
        "--source", choices=(_BPF, _KERNEL), default=_BPF, help="who counts (default bpf)"
    )


def run(words: list[str]) -> int:
    """Runs ``kstats vcpu``; returns the exit status."""
    return watch(parser().parse(words))


def watch(args: argparse.Namespace) -> int:
    """Shows what the options of ``kstats vcpu`` ask for; returns the exit status."""
    interval = None if args.interval is None else options.seconds(args.interval)
    count = None if args.count is None else options.times(args.count)
    if args.source == _KERNEL and args.probe is not None:
        raise UsageError("--probe is about reading exits", "leave it out with --source kernel")
    if args.source == _KERNEL and args.overhead:
        raise UsageError(
            "--overhead measures BPF programs; --source kernel loads none", "leave out --overhead"
        )
    session.show(
        args,
        VcpuView(Options(nonzero=args.nonzero, total=args.total, rate=args.rate)),
        lambda: _collect(args),
        interval,
        count,
        only=exits.choice(args) or None,
        needs=_NEEDS[args.source],
    )
    return 0


def _collect(args: argparse.Namespace) -> Collector | KernelCounters:
    host = Host()
    directory = VmRegistry(host)
    wanted = exits.threads_wanted(args, host, directory)
    target = Target.find(host, probe=args.probe)
    if target.source.isa not in target.arch.kvmstat:
        raise UnsupportedHostError(
            f"the backend {target.arch.name} does not say what kvmstat's columns are here",
            "kstats exits shows its exits by any axes",
        )
    if args.source == _KERNEL:
        return KernelCounters(target, wanted.pids)
    return Collector(target, target.per_vcpu(wanted), directory, wanted.pids)
