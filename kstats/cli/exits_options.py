"""The command line of ``kstats exits``."""

from __future__ import annotations

from functools import partial

import attrs

from kstats.cli import options, thread_options, view_options
from kstats.cli.options import FOREVER
from kstats.cli.thread_options import ThreadOptions
from kstats.errors import UsageError
from kstats.render import OF_STACKS
from kstats.views import details
from kstats.views.exits import AXES, parse_axes

MORE_THREADS = 65536
"""The default of --map-entries: that of the collector, which help need not import."""

MOST_ENTRIES = 1 << 22

_DESCRIPTION = """\
  kstats exits                    until ^C, then one report
  kstats exits 5                  one report, after 5 seconds
  kstats exits 1 10               ten reports, one per second
"""

_EPILOG = f"""\
axes: {" ".join(AXES)}

kstats exits --by cpu,vm,reason 5       what happens on each CPU
kstats exits --by vmm,vmid,uuid,vm 5    numbers and UUIDs of VMs
kstats exits --by vm --top 5 10         the five VMs with the most exits in 10 seconds
kstats exits --detail msr --top 10 5    the ten hottest model-specific registers
kstats exits --by vm,reason,handler 5   which exits the kernel handles, and which the VMM
kstats exits --tree --top 3 5           each VM with its three hottest vCPUs and reasons
kstats exits -p 4321 --vcpu 0 5         the reasons of vCPU 0 of process 4321
kstats exits --latency --by reason 5    how long exits take, by reason
kstats exits --slower-than 5ms          exits that take longer, one by one
kstats exits --time 1 10                what vCPUs do with their time, every second
kstats exits -f folded 10               stacks for flamegraph.pl or speedscope

The kernel counts only the threads that --vm, --pid, --vcpu, --tid or --tids select.
"""


@attrs.frozen(kw_only=True)
class ExitsOptions(ThreadOptions):
    """The options of ``kstats exits``.

    Attributes:
        reason: Only exits for these reasons, as they were written.
        by: The axes; None for those that follow from the threads.
        detail: Only exits that carry this kind of detail.
        top: At most so many rows.
        tree: Group rows by the first axis.
        sort: What to sort by; None for the view's default.
        map_entries: Size of the tables of threads in the kernel.
        latency: Show how long exits take.
        histogram: Show a histogram of that for each row.
        slower_than: Show exits that take more nanoseconds than this, one by one.
        time: Show where the time of vCPUs goes.
    """

    interval: float | None = FOREVER
    count: int | None = 1
    reason: str | None = None
    by: str | None = None
    detail: str | None = None
    top: int | None = None
    tree: bool = False
    sort: str | None = None
    map_entries: int = MORE_THREADS
    latency: bool = False
    histogram: bool = False
    slower_than: int | None = None
    time: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """Return the axes to show.

        Raises:
            UsageError: An axis is unknown or given twice.
        """
        if self.by is not None:
            return parse_axes(self.by, detail=self.detail is not None)
        what = ("reason",) if self.detail is None else ("reason", details.AXIS)
        if self.format in OF_STACKS:
            return "vm", "vcpu", "category", *what
        if self.alltids or self.tids is not None:
            return "tid", *what
        selected = self.pid is not None or self.tid is not None
        return what if selected else ("vm", "vcpu", *what)


def parser() -> options.Parser:
    """Return the command line of ``kstats exits``."""
    p = options.Parser.of("exits", "[duration | interval count]", _DESCRIPTION, _EPILOG)
    thread_options.add_arguments(p)
    thread_options.add_vm(p)
    text = "only exits for these: names, codes, columns or categories, like npf,0x7b,idle"
    p.add_argument("--reason", metavar="REASONS", help=text)
    p.add_argument("--by", metavar="AXES", help="axes, like cpu,vm,reason (default vm,vcpu,reason)")
    text = "only exits with this kind of detail, and the axis detail: msr, io, mmio, page, cr, "
    text += "hypercall or sysreg"
    p.add_argument("--detail", metavar="KIND", help=text)
    text = "only the first N rows, and the sum of the others"
    p.add_argument("--top", metavar="N", type=options.TOP, help=text)
    text = "group rows by the first axis, with sums; --top then limits the rows of each group"
    p.add_argument("--tree", action="store_true", help=text)
    p.add_argument("--sort", metavar="KEY", help="a column of numbers (default count), or an axis")
    text = f"size of the kernel's per-thread tables (default {MORE_THREADS})"
    p.add_argument("--map-entries", metavar="N", type=_entries, default=MORE_THREADS, help=text)
    add = p.add_argument
    add(
        "interval",
        nargs="?",
        metavar="duration",
        type=partial(options.seconds, what="duration"),
        default=FOREVER,
        help="seconds of a report (default: until ^C)",
    )
    count = partial(options.times, without="get one report")
    add("count", nargs="?", type=count, default=1, help="number of reports (default 1)")
    view_options.add_arguments(p, stacks=True)
    add = p.add_argument_group("how long exits take, until the next entry of the vCPU").add_argument
    text = "count, total, share of the time, min, mean, percentiles, max"
    add("--latency", action="store_true", help=text)
    add("--histogram", action="store_true", help="a histogram for each row")
    text = "list each exit that takes longer, when it ends: 500us, 2ms …"
    add("--slower-than", metavar="TIME", type=options.threshold, help=text)
    text = "where each vCPU's time goes: guest, kernel, VMM, halted, waiting for a CPU"
    add("--time", action="store_true", help=text)
    return p


def _entries(text: str) -> int:
    entries = options.times(text, "--map-entries", f"use {MORE_THREADS}")
    if entries > MOST_ENTRIES:
        raise UsageError(
            f"--map-entries {entries} is more than {MOST_ENTRIES}", "each takes some 100 bytes"
        )
    return entries
