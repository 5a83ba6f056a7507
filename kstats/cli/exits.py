"""``kstats exits``: exits by VM, vCPU, thread, CPU, reason … in any combination."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Generator
from contextlib import closing

import attrs

from kstats.cli import reason_option
from kstats.cli.exits_options import ExitsOptions, parser
from kstats.cli.options import FOREVER
from kstats.cli.session import Session, Source
from kstats.cli.view_options import ViewOptions, Wanted
from kstats.errors import UsageError
from kstats.model import Sample
from kstats.render import FOR_PEOPLE
from kstats.views import RequiringView, details, exits, handlers, latency
from kstats.views.reasons import ReasonFilter
from kstats.views.slow_exits import SlowExitsView
from kstats.views.vcpu_time import VcpuTimeView

__all__ = ["parser", "run"]

_BARS = (10, 60)
"""The least and the most characters of a histogram's bars."""

_BESIDE_BARS = 50
"""About the characters of a line before its bar."""

_STEP = 0.25
"""Seconds after which slow exits are shown at the latest."""


def run(words: list[str]) -> int:
    """Run ``kstats exits``; return the exit status."""
    wanted = parser().parse(words, ExitsOptions)
    view, fallback = _view(wanted, wanted.axes), _fallback(wanted)
    of_recording = Wanted((fallback or view).requires, wanted.threads, wanted.reason)
    with Session.open(_in_steps(wanted), lambda: _collect(wanted), of_recording) as session:
        if wanted.slower_than is not None:
            # Steps end when they end: a report says nothing about their length.
            slow = _worth_showing(session.samples)
            session = session._replace(samples=slow, interval=None)  # noqa: PLW2901
        session.show(session.fitting(view, fallback))
    return 0


def _collect(wanted: ExitsOptions) -> Source:
    from kstats.loader import process  # noqa: PLC0415 - recordings do not need it

    with process.early(wanted.loader) as started:
        from kstats.cli import live  # noqa: PLC0415 - while the worker starts

        return live.exits(wanted, started)


def _view(wanted: ExitsOptions, by: tuple[str, ...]) -> RequiringView:
    """Return the view that shows what the options ask for, by these axes."""
    if wanted.detail is not None:
        details.check(wanted.detail)
    if wanted.time:
        return _time_view(wanted)
    if wanted.slower_than is not None:
        _without_handlers("--slower-than", by)
        view: RequiringView = SlowExitsView(by) if wanted.by else SlowExitsView()
    elif wanted.latency or wanted.histogram:
        _without_handlers("--latency and --histogram", by)
        view = _latency_view(wanted, by)
    else:
        if wanted.tree and len(by) == 1:
            raise UsageError("--tree needs two axes or more", "add one to --by")
        sort = _sort(wanted.sort, (exits.COUNT.key, *by))
        view = exits.ExitsView(
            exits.Options(
                by=by,
                top=wanted.top,
                sort=sort,
                rate=wanted.rate,
                tree=wanted.tree,
                detail=wanted.detail,
            )
        )
    return view if wanted.reason is None else ReasonFilter(view, reason_option.codes(wanted.reason))


def _without_handlers(option: str, by: tuple[str, ...]) -> None:
    # An exit is timed until the next entry; who handled it is counted on its own.
    if handlers.AXIS in by:
        raise UsageError(
            f"{option} cannot be shown by {handlers.AXIS}", f"count exits without {option}"
        )


def _latency_view(wanted: ExitsOptions, by: tuple[str, ...]) -> RequiringView:
    shown = latency.Options(
        by=by,
        top=wanted.top,
        sort=_sort(wanted.sort, ("total", *latency.SORTS, *by)),
        rate=wanted.rate,
        detail=wanted.detail,
    )
    if not wanted.histogram:
        return latency.LatencyView(shown)
    return latency.HistogramView(shown, bars=_bars() if wanted.format in FOR_PEOPLE else 0)


def _time_view(wanted: ExitsOptions) -> RequiringView:
    if wanted.by is None:
        return VcpuTimeView()
    unfit = [axis for axis in wanted.axes if axis not in exits.THREAD_AXES]
    if unfit:
        raise UsageError(
            f"--time cannot be shown by {unfit[0]}", f"axes: {', '.join(exits.THREAD_AXES)}"
        )
    return VcpuTimeView(wanted.axes)


def _sort(key: str | None, known: tuple[str, ...]) -> str:
    """Return what to sort by: ``key``, or the first of the ``known`` keys."""
    if key is None:
        return known[0]
    if key not in known:
        keys = ", ".join(dict.fromkeys(known))
        raise UsageError(f"cannot sort by {key!r}", f"sort by {keys}")
    return key


def _fallback(wanted: ExitsOptions) -> RequiringView | None:
    """Return what shows a recording without threads; None if the options say how to show it."""
    if wanted.input is None or wanted.by or wanted.sort or wanted.tree or wanted.threads:
        return None
    return None if wanted.slower_than is not None else _view(wanted, ("reason",))


def _bars() -> int:
    least, most = _BARS
    if not sys.stdout.isatty():
        return most
    return min(max(shutil.get_terminal_size().columns - _BESIDE_BARS, least), most)


def _in_steps(wanted: ExitsOptions) -> ViewOptions:
    """Return the options to open a session with: slow exits are shown soon after they end."""
    if wanted.slower_than is None or not wanted.interval or not wanted.count:
        return wanted
    step = min(wanted.interval, _STEP)
    steps = None if wanted.interval == FOREVER else math.ceil(wanted.interval * wanted.count / step)
    interval = None if wanted.input is not None else step
    return attrs.evolve(wanted, interval=interval, count=steps)


def _worth_showing(samples: Generator[Sample, None, None]) -> Generator[Sample, None, None]:
    """Yield the first sample, for the headings, and those in which something was slow."""
    with closing(samples):
        for number, sample in enumerate(samples):
            if not number or sample.slow or sample.slow_dropped:
                yield sample
