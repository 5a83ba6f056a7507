"""The command line of ``kstats cpu``."""

from __future__ import annotations

import attrs

from kstats import cpulist
from kstats.cli import options, view_options
from kstats.cli.view_options import ViewOptions
from kstats.topology import LEVELS

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
    """Return the columns of every architecture and what they mean."""
    from kstats import arch as arches  # noqa: PLC0415 - only help needs them

    paragraphs = []
    for arch in arches.arches():
        names = [f"{c.group}({c.label})" if c.group else c.label for c in arch.columns]
        lines = [f"  {n:<12} {c.meaning}" for n, c in zip(names, arch.columns, strict=True)]
        paragraphs.append("\n".join([f"columns on {arch.title}:", *lines]))
    return "\n\n".join(paragraphs)


@attrs.frozen(kw_only=True)
class CpuOptions(ViewOptions):
    """The options of ``kstats cpu``; ``delay`` and ``times`` are Fuchsia's interval and count."""

    per_cpu: bool = False
    delay: float | None = None
    times: int | None = None
    cpus: tuple[int, ...] | None = None
    by: str = "cpu"
    nonzero: bool = False
    sort: str | None = None
    top: int | None = None
    total: bool = False
    reasons: bool = False
    no_entries: bool = False


def parser() -> options.Parser:
    """Return the command line of ``kstats cpu``."""
    p = options.Parser.of("cpu", "[interval [count]]", _DESCRIPTION, _EPILOG, _columns_help)
    text = "accepted for kstats -v; has no effect"
    p.add_argument("-v", action="store_true", dest="per_cpu", help=text)
    options.add_interval_arguments(p)
    text = "the interval, as in Fuchsia"
    p.add_argument("-d", metavar="SECONDS", dest="delay", type=options.seconds, help=text)
    text = "the count, as in Fuchsia"
    p.add_argument("-n", metavar="TIMES", dest="times", type=options.times, help=text)
    text = "only these CPUs, like 0-3,8"
    p.add_argument("--cpus", metavar="LIST", type=cpulist.parse, help=text)
    text = "one row per node, socket or core, with the sums of its CPUs (default cpu)"
    p.add_argument("--by", choices=LEVELS, default="cpu", help=text)
    p.add_argument("--nonzero", action="store_true", help="only rows with entries or exits")
    p.add_argument("--sort", metavar="COLUMN", help="sort rows by this column, largest first")
    text = "only the first N rows, and the sum of the others"
    p.add_argument("--top", metavar="N", type=options.TOP, help=text)
    p.add_argument("--total", action="store_true", help="add a row with the sums")
    p.add_argument("--reasons", action="store_true", help="one column per reason that occurred")
    text = "do not count entries: vm_entry is -, and counting costs about half"
    p.add_argument("--no-entries", action="store_true", help=text)
    view_options.add_arguments(p, "-t")
    return p
