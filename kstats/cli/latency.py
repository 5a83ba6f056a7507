"""What ``kstats exits`` has to say about time: --latency, --histogram, --slower-than, --time."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing

from kstats import durations
from kstats.cli import session
from kstats.collector.latency import Exits, Latencies
from kstats.collector.live import Collector, Counting
from kstats.collector.slow_exits import SlowExits
from kstats.collector.vcpu_time import Spending
from kstats.errors import UsageError
from kstats.model import Sample
from kstats.recording.choose import Choice
from kstats.views import ExactingView, View
from kstats.views.exits import THREAD_AXES, parse_axes
from kstats.views.latency import SORTS, HistogramView, LatencyView, Options
from kstats.views.slow_exits import SlowExitsView
from kstats.views.vcpu_time import VcpuTimeView

_BARS = (10, 60)
"""A histogram's bars are at least and at most so wide."""

_BESIDE_BARS = 50
"""What stands before them in a line, about."""

_STEP = 0.25
"""Seconds after which single exits are shown at the latest."""


def add_arguments(p: argparse.ArgumentParser) -> None:
    """The options about time, of which one can be given."""
    group = p.add_argument_group("how long exits take, until the next entry of the same vCPU")
    add = group.add_mutually_exclusive_group().add_argument
    text = "count, total, share of the time, min, mean, percentiles, max"
    add("--latency", action="store_true", help=text)
    add("--histogram", action="store_true", help="a histogram for each row")
    text = "each exit that takes longer, as it ends: 500us, 2ms …"
    add("--slower-than", metavar="TIME", help=text)
    text = "where each vCPU's time goes: guest, kernel, VMM, halted, waiting for a CPU"
    add("--time", action="store_true", help=text)


def refuse_detail(args: argparse.Namespace) -> None:
    """Raises UsageError if an option about time is given that details cannot be told with."""
    if args.time or args.slower_than is not None:
        what = "--time" if args.time else "--slower-than"
        hint = "leave out one of them, or take --latency or --histogram"
        raise UsageError(f"{what} is not told by --detail", hint)


def view(args: argparse.Namespace, by: tuple[str, ...], top: int | None) -> ExactingView | None:
    """The view that the options ask for; None if they ask for none of these.

    Raises:
        UsageError: a column to sort by that there is not, an axis that time has not.
    """
    if not (args.latency or args.histogram or args.time or args.slower_than is not None):
        return None
    if args.tree:
        raise UsageError("--tree cannot be combined with latencies or times", "leave out --tree")
    if args.time or args.slower_than is not None:
        return _view_without_order(args)
    sort = args.sort or "total"
    if sort not in (*SORTS, *by):
        raise UsageError(f"cannot sort by {sort!r}", f"sort by {', '.join((*SORTS, *by))}")
    options = Options(by=by, top=top, sort=sort, rate=args.rate, detail=args.detail)
    if args.histogram:
        return HistogramView(options, bars=_bars() if args.format == "table" else 0)
    return LatencyView(options)


def _view_without_order(args: argparse.Namespace) -> ExactingView:
    what = "--time" if args.time else "--slower-than"
    if args.sort or args.top or args.rate:
        raise UsageError(f"{what} has no rows to sort or choose, and no rates", "leave that out")
    if args.time and args.reason:
        raise UsageError("--time is not told by reason", "leave out --reason")
    by = None if args.by is None else parse_axes(args.by)
    if not args.time:
        _threshold(args)
        return SlowExitsView(by) if by else SlowExitsView()
    unfit = [axis for axis in by or () if axis not in THREAD_AXES]
    if unfit:
        raise UsageError(f"--time is not told by {unfit[0]}", f"axes: {', '.join(THREAD_AXES)}")
    return VcpuTimeView(by) if by else VcpuTimeView()


def _threshold(args: argparse.Namespace) -> int:
    threshold = durations.parse(args.slower_than)
    if threshold is None:
        raise UsageError(
            f"--slower-than {args.slower_than!r} is no duration",
            "write a number and ns, us, ms or s: 500us",
        )
    return threshold


def _bars() -> int:
    least, most = _BARS
    if not sys.stdout.isatty():
        return most
    return min(max(shutil.get_terminal_size().columns - _BESIDE_BARS, least), most)


def counting(
    args: argparse.Namespace,
    exits: Exits,
    by: Sequence[str],
    sleepers: Callable[[], Mapping[int, bool]] = dict,
) -> Counting:
    """What the kernel is to do for the options beside counting ``exits``.

    ``sleepers`` finds vCPUs that sleep when it begins (:func:`kstats.collector.vcpu_time.asleep`).
    """
    both = exits.with_entries()
    if args.time:
        return Spending(both, both, sleepers)
    if args.slower_than is not None:
        return SlowExits(Latencies(both), _threshold(args))
    if args.latency or args.histogram:
        return Latencies(both, by_cpu="cpu" in by)
    return exits


def show_slow(  # noqa: PLR0913 - as reporting.show
    args: argparse.Namespace,
    view: View,
    collect: Callable[[], Collector],
    interval: float,
    count: int,
    *,
    only: Choice | None = None,
    needs: Collection[str] = (),
) -> None:
    """Shows single exits as they end, for as long as ``count`` intervals are."""
    step = min(interval, _STEP)
    steps = None if interval == session.FOREVER else math.ceil(interval * count / step)
    if args.input is not None:
        with session.replayed(args, only, needs) as recorded:
            samples = _worth_showing(recorded.samples(None, steps, only))
            session.report(samples, view, session.renderer(args, None))
        return
    with session.counted(args, collect, step, steps) as (samples, meter):
        shown = session.with_overhead(view, meter)
        session.report(_worth_showing(samples), shown, session.renderer(args, None))


def _worth_showing(samples: Generator[Sample, None, None]) -> Generator[Sample, None, None]:
    """The first, which brings the headings, and those in which something was slow."""
    with closing(samples):
        for number, sample in enumerate(samples):
            if not number or sample.slow or sample.slow_dropped:
                yield sample
