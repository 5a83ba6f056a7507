"""``kstats exits``: exits by VM, vCPU, thread, CPU, reason … in any combination."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from kstats.cli import latency, options, session
from kstats.collector.latency import Exits
from kstats.collector.live import Collector, Counting, Target
from kstats.collector.threads import MORE_THREADS, Filter
from kstats.collector.vcpu_time import asleep
from kstats.errors import KstatsError, UsageError
from kstats.filters import ReasonFilter
from kstats.host import Host
from kstats.recording.choose import Choice
from kstats.views import ExactingView, details
from kstats.views.exits import AXES, COUNT, ExitsView, Options, parse_axes
from kstats.vms.registry import VmRegistry
from kstats.vms.select import select

_DESCRIPTION = """\
  kstats exits                    until ^C, then one report
  kstats exits 5                  one report, after 5 seconds
  kstats exits 1 10               ten reports, one per second
"""

_EPILOG = f"""\
axes: {" ".join(AXES)}

kstats exits --by cpu,vm,reason 5       what happens on each CPU
kstats exits --by vm --top 5 10         the five VMs with most exits in 10 seconds
kstats exits --detail msr --top 10 5    the ten hottest model-specific registers
kstats exits --tree --top 3 5           each VM with its three hottest vCPUs and reasons
kstats exits -p 4321 --vcpu 0 5         the reasons of vCPU 0 of process 4321
kstats exits --latency --by reason 5    how long exits take, by reason
kstats exits --slower-than 5ms          exits that take longer, one by one
kstats exits --time 1 10                what vCPUs do with their time, every second

The kernel counts only the threads that --vm, --pid, --vcpu, --tid or --tids select.
"""

MOST_ENTRIES = 1 << 22


def parser() -> options.Parser:
    """The command line of ``kstats exits``."""
    p = options.Parser.of("exits", "[duration | interval count]", _DESCRIPTION, _EPILOG)
    add_thread_arguments(p)
    p.add_argument("--vm", metavar="VM", help="only this VM, by name or pid")
    text = "only exits for these: names, codes, columns or categories, like npf,0x7b,idle"
    p.add_argument("--reason", metavar="REASONS", help=text)
    p.add_argument("--by", metavar="AXES", help="axes, like cpu,vm,reason (default vm,vcpu,reason)")
    p.add_argument(
        "--detail",
        metavar="KIND",
        help="only exits that tell it, and one more axis, detail, with which MSR, port, address: "
        "msr io mmio page hypercall cr sysreg, as far as the host has it",
    )
    p.add_argument("--top", metavar="N", help="only the first N rows, and the sum of the others")
    text = "group rows by the first axis, with sums; --top then counts rows of a group"
    p.add_argument("--tree", action="store_true", help=text)
    p.add_argument("--sort", metavar="KEY", help="a column of numbers (default count), or an axis")
    p.add_argument(
        "--map-entries",
        metavar="N",
        help=f"places for threads' counters in the kernel (default {MORE_THREADS})",
    )
    p.add_argument("duration", nargs="?", help="seconds of a report (default: until ^C)")
    p.add_argument("count", nargs="?", help="number of reports (default 1)")
    session.add_arguments(p)
    latency.add_arguments(p)
    return p


def add_thread_arguments(p: argparse.ArgumentParser, *, short: bool = False) -> None:
    """Add the options that select threads; ``short`` adds kvmexit's letters for them."""

    def names(letter: str, name: str) -> tuple[str, ...]:
        return (letter, name) if short else (name,)

    p.add_argument("-p", "--pid", metavar="PID", help="only this process")
    add = p.add_mutually_exclusive_group().add_argument
    add(*names("-v", "--vcpu"), metavar="VCPU", help="only this vCPU of the process")
    text = "each thread of the process on its own row"
    add(*names("-a", "--alltids"), action="store_true", help=text)
    add(*names("-t", "--tid"), metavar="TID", help="only this thread")
    add(*names("-T", "--tids"), metavar="TIDS", help="only these threads, like 4001,4002")


def run(words: list[str]) -> int:
    """Runs ``kstats exits``; returns the exit status."""
    args = parser().parse(words)
    interval = session.FOREVER
    if args.duration is not None:
        interval = options.seconds(args.duration, "duration")
    count = 1 if args.count is None else options.times(args.count, without="get one report")
    view = _view(args)
    entries = _entries(args.map_entries)

    def measured(exits: Exits, host: Host, directory: VmRegistry) -> Counting:
        return latency.counting(args, exits, _axes(args), lambda: _sleepers(host, directory))

    def live() -> Collector:
        return collect(args, args.probe, entries, measured)

    only = choice(args) or None
    if args.slower_than is not None:
        latency.show_slow(args, view, live, interval, count, only=only, needs=view.needs)
        return 0
    coarser = _coarser(args)
    session.show(args, view, live, interval, count, only=only, needs=view.needs, coarser=coarser)
    return 0


def collect(
    args: argparse.Namespace,
    probe: str | None = None,
    entries: int = MORE_THREADS,
    measured: Callable[[Exits, Host, VmRegistry], Counting] | None = None,
) -> Collector:
    """A collector of the threads that the options choose, on this host.

    ``measured`` adds to counting exits by thread what else the kernel is to do.
    """
    host = Host()
    directory = VmRegistry(host)
    wanted = threads_wanted(args, host, directory)
    target = Target.find(host, probe=probe)
    if args.reason is not None:
        options.reasons(args.reason, [target.source.isa])
    threads = target.per_thread(wanted, entries)
    exits: Exits = threads
    if args.detail is not None:
        target, exits = target.telling(args.detail, threads)
    return Collector(target, measured(exits, host, directory) if measured else exits, directory)


def _sleepers(host: Host, directory: VmRegistry) -> dict[int, bool]:
    return asleep(host, (thread for threads in directory.vms().values() for thread in threads))


def _view(args: argparse.Namespace, by: tuple[str, ...] = ()) -> ExactingView:
    """What shows what the options ask for; ``by`` are other axes than they do."""
    if args.detail is not None:
        details.check(args.detail)
        latency.refuse_detail(args)
    by = by or _axes(args)
    top = None if args.top is None else options.times(args.top, "--top", "see all rows")
    view = latency.view(args, by, top) or ExitsView(_view_options(args, by, top))
    return view if args.reason is None else ReasonFilter(view, options.reasons(args.reason))


def _coarser(args: argparse.Namespace) -> ExactingView | None:
    """What shows a recording without threads; None if the options say how it is to be shown."""
    told = args.input is None or args.by or args.sort or choice(args)
    return None if told else _view(args, ("reason",))


def _view_options(args: argparse.Namespace, by: tuple[str, ...], top: int | None) -> Options:
    sort = COUNT.key if args.sort is None else args.sort
    if sort not in (COUNT.key, *by):
        raise UsageError(f"cannot sort by {sort!r}", f"sort by {', '.join((COUNT.key, *by))}")
    return Options(by=by, top=top, sort=sort, rate=args.rate, tree=args.tree, detail=args.detail)


def _axes(args: argparse.Namespace) -> tuple[str, ...]:
    if args.by is None:
        return _default_axes(args)
    return parse_axes(args.by, detail=args.detail is not None)


def _entries(text: str | None) -> int:
    if text is None:
        return MORE_THREADS
    entries = options.times(text, "--map-entries", f"have {MORE_THREADS}")
    if entries > MOST_ENTRIES:
        raise UsageError(
            f"--map-entries {entries} is more than {MOST_ENTRIES}", "each takes some 100 bytes"
        )
    return entries


def _default_axes(args: argparse.Namespace) -> tuple[str, ...]:
    what = ("reason",) if args.detail is None else ("reason", details.AXIS)
    if args.alltids or args.tids is not None:
        return "tid", *what
    chosen = args.pid is not None or args.tid is not None
    return what if chosen else ("vm", "vcpu", *what)


def choice(args: argparse.Namespace) -> Choice:
    """The threads that the options choose, whether there are any or not.

    Raises:
        UsageError: options that contradict each other, numbers that are none.
    """
    if (args.vcpu is not None or args.alltids) and args.pid is None and args.vm is None:
        raise UsageError("--vcpu and --alltids need a process", "name it: --pid PID or --vm NAME")
    texts = [] if args.tids is None else args.tids.split(",")
    if args.tid is not None:
        texts = [args.tid]
    if texts and (args.pid is not None or args.vm is not None):
        raise UsageError("--tid and --tids cannot be combined with --pid or --vm", "use only one")
    if args.pid is not None and args.vm is not None:
        raise UsageError("--pid cannot be combined with --vm", "use only one")
    return Choice(
        pid=None if args.pid is None else _number(args.pid, "process ID"),
        vcpu=None if args.vcpu is None else _number(args.vcpu, "vCPU number"),
        tids=frozenset(_number(text, "thread ID") for text in texts),
        vm=args.vm,
    )


def threads_wanted(args: argparse.Namespace, host: Host, directory: VmRegistry) -> Filter:
    """The threads that the options choose, on this host.

    Raises:
        UsageError: options that contradict each other, numbers that are none.
        KstatsError: there is no such process, thread or vCPU.
    """
    wanted = choice(args)
    pids = set() if wanted.pid is None else {wanted.pid}
    for number, what in [
        *((pid, "process") for pid in pids),
        *((t, "thread") for t in wanted.tids),
    ]:
        _must_exist(number, what, host)
    if wanted.vm is not None:
        pids |= {vm.pid for vm in select(directory.vms(), wanted.vm)}
    if wanted.vcpu is None:
        return Filter(frozenset(pids), wanted.tids)
    return Filter(frozenset(pids), frozenset(_vcpu_threads(pids, wanted.vcpu, directory)))


def _must_exist(number: int, what: str, host: Host) -> None:
    # /proc answers for every thread, though it lists only processes.
    if not host.exists(f"proc/{number}"):
        raise KstatsError(f"there is no {what} {number}")


def _number(text: str, what: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise UsageError(f"invalid {what} {text!r}", "give a decimal number")
    return int(text)


def _vcpu_threads(pids: set[int], vcpu: int, directory: VmRegistry) -> set[int]:
    """The threads that run a vCPU of that number: one for each VM of the processes."""
    threads = [t for ts in directory.vms().values() for t in ts if t.pid in pids]
    found = {thread.tid for thread in threads if thread.vcpu == vcpu}
    if found:
        return found
    known = ", ".join(str(t.vcpu) for t in threads if t.vcpu is not None) or "none that is known"
    whose = " and ".join(map(str, sorted(pids)))
    raise KstatsError(f"process {whose} has no vCPU {vcpu}", f"its vCPUs: {known}")
