"""Shows VM entries and exits per physical CPU: ``kstats cpu`` once its worker has been started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from kstats.cli import cpu_options
from kstats.cli.cpu_options import CpuOptions
from kstats.cli.session import Session, Source
from kstats.cli.view_options import Wanted
from kstats.render import WITH_REASONS
from kstats.views import View

if TYPE_CHECKING:
    from kstats.loader.process import Worker


def parse(words: list[str]) -> CpuOptions:
    """Return the options in ``words``; see :meth:`kstats.cli.options.Parser.parse`."""
    return cpu_options.parser().parse(words, CpuOptions)


def watch(wanted: CpuOptions, started: Worker | None) -> None:
    """Show what the options ask for; ``started`` is a worker that has been started early."""
    timed = attrs.evolve(
        wanted,
        interval=wanted.delay if wanted.interval is None else wanted.interval,
        count=wanted.times if wanted.count is None else wanted.count,
    )
    # A key that cannot be sorted by is reported first. All other views are imported while the
    # first report is waited for: that is not part of a start.
    view = _view(wanted) if wanted.sort else None
    requires = ("exits",) if wanted.no_entries else ("entries",)
    of_recording = Wanted(requires=requires, cpus=wanted.cpus or ())
    with Session.open(timed, lambda: _collect(wanted, started), of_recording) as session:
        session.show(view or _view(wanted))


def _view(wanted: CpuOptions) -> View:
    from kstats.views.percpu import Options, PerCpuView  # noqa: PLC0415 - see watch()

    return PerCpuView(
        Options(
            cpus=wanted.cpus,
            by=wanted.by,
            nonzero=wanted.nonzero,
            sort=wanted.sort or "",
            top=wanted.top,
            total=wanted.total,
            rate=wanted.rate,
            reasons=wanted.reasons,
            detail=wanted.format in WITH_REASONS,
            entries=not wanted.no_entries,
        )
    )


def _collect(wanted: CpuOptions, started: Worker | None) -> Source:
    from kstats.cli import live_cpu  # noqa: PLC0415 - recordings do not need it

    entries = not wanted.no_entries
    return live_cpu.per_cpu(
        wanted.probe, wanted.cpus or (), wanted.loader, started, entries=entries
    )
