"""The options that every view takes, and what it shows of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from kstats.cli import options
from kstats.render import FORMATS, OF_STACKS

if TYPE_CHECKING:
    from kstats.filters import ThreadFilter


@attrs.frozen(kw_only=True)
class ViewOptions:
    """What every view takes, as :func:`add_arguments` adds it.

    Attributes:
        interval: Seconds of a report; None for one second, or as a recording was made.
        count: How many reports; None for no end.
        format: One of :data:`kstats.render.FORMATS`.
        timestamps: Whether the table has the time of each report.
        rate: Per second of time that passed, instead of counts.
        input: The recording to show; None to count on this host.
        record: Where to write the samples that are shown.
        overhead: Report what counting costs.
        probe: The way to read exits; None for the best.
        loader: The way to load programs; None for the best.
        debug: Print what is loaded.
    """

    interval: float | None = None
    count: int | None = None
    format: str = "table"
    timestamps: bool = False
    rate: bool = False
    input: str | None = None
    record: str | None = None
    overhead: bool = False
    probe: str | None = None
    loader: str | None = None
    debug: bool = False


class Wanted(NamedTuple):
    """What a view shows of a recording.

    Attributes:
        requires: What the recording must have: see :attr:`kstats.recording.Header.counted`.
        threads: The threads to show; None for all.
        reason: Reasons, as they were written, that an ISA of the recording must have.
        cpus: CPUs that its host must have.
    """

    requires: tuple[str, ...] = ()
    threads: ThreadFilter | None = None
    reason: str | None = None
    cpus: tuple[int, ...] = ()


def add_arguments(p: options.Parser, *timestamps: str, stacks: bool = False) -> None:
    """Add the options of :class:`ViewOptions`; ``timestamps`` are short forms of --timestamps.

    ``stacks`` is whether the view can be shown in the formats that take exits by axes.
    """
    add = p.add_argument
    add(*timestamps, "--timestamps", action="store_true", help="print the UTC time of each report")
    add("--rate", action="store_true", help="show counts per second of elapsed time")
    p.add_format(name for name in FORMATS if stacks or name not in OF_STACKS)
    add("--input", metavar="FILE", help="show a recording; - is standard input")
    add("--record", metavar="FILE", help="also write the samples to a recording")
    add("--overhead", action="store_true", help="report what counting costs the host")
    options.add_probe_arguments(p)
