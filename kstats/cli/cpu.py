"""``kstats cpu`` and ``kstats -v``: VM entries and exits per physical CPU."""

from __future__ import annotations

from contextlib import nullcontext

import attrs

from kstats import arch as arches
from kstats import cpulist
from kstats.cli import COMMANDS, PROGRAMS, options, view_options
from kstats.cli.replay import Wanted
from kstats.cli.session import Session, Source
from kstats.cli.view_options import ViewOptions
from kstats.errors import UsageError
from kstats.render import WITH_REASONS
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
    """Return the columns of every architecture and what they mean."""
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
    p.add_argument("--by", choices=BY, default="cpu", help=text)
    p.add_argument("--nonzero", action="store_true", help="only rows with entries or exits")
    p.add_argument("--sort", metavar="COLUMN", help="sort rows by this column, largest first")
    text = "only the first N rows, and the sum of the others"
    p.add_argument("--top", metavar="N", type=options.TOP, help=text)
    p.add_argument("--total", action="store_true", help="add a row with the sums")
    p.add_argument("--reasons", action="store_true", help="one column per reason that occurred")
    view_options.add_arguments(p, "-t")
    return p


def run(words: list[str]) -> int:
    """Run ``kstats cpu``; return the exit status."""
    return _watch(parser().parse(words, CpuOptions))


def run_fuchsia(words: list[str]) -> int:
    """Run ``kstats -v``, or report what the words of ``kstats`` lack; return the exit status."""
    if words[0] in PROGRAMS:
        import shlex  # noqa: PLC0415 - only errors need it

        raise UsageError(
            f"{words[0]} is a separate program", f"leave out kstats: {shlex.join(words)}"
        )
    named = next((word for word in words if not word.startswith("-")), "")
    if words[0].startswith("-") and "-v" in words and named in COMMANDS:
        raise UsageError(
            f"-v cannot be combined with the command {named}", f"leave out -v: kstats {named}"
        )
    if not words[0].startswith("-"):
        raise _no_command(words)
    wanted = parser().parse(words, CpuOptions)
    if not wanted.per_cpu:
        raise _no_command(words)
    return _watch(wanted)


def _watch(wanted: CpuOptions) -> int:
    timed = attrs.evolve(
        wanted,
        interval=wanted.delay if wanted.interval is None else wanted.interval,
        count=wanted.times if wanted.count is None else wanted.count,
    )
    shown = Options(
        cpus=wanted.cpus,
        by=wanted.by,
        nonzero=wanted.nonzero,
        sort=wanted.sort or "",
        top=wanted.top,
        total=wanted.total,
        rate=wanted.rate,
        reasons=wanted.reasons,
        detail=wanted.format in WITH_REASONS,
    )
    view = PerCpuView(shown)
    of_recording = Wanted(requires=("entries",), cpus=wanted.cpus or ())
    with Session.open(timed, lambda: _collect(wanted), of_recording) as session:
        session.show(view)
    return 0


def _collect(wanted: CpuOptions) -> Source:
    from kstats.loader.process import Worker  # noqa: PLC0415 - recordings do not need it

    # Most of a start is importing modules. Meanwhile the worker starts, too.
    prebuilt = wanted.loader in (None, "prebuilt")
    with Worker.prebuilt() if prebuilt else nullcontext() as started:
        from kstats.cli import live_cpu  # noqa: PLC0415 - see above

        return live_cpu.per_cpu(wanted.probe, wanted.cpus or (), wanted.loader, started)


def _no_command(words: list[str]) -> UsageError:
    import shlex  # noqa: PLC0415 - only errors need these
    from difflib import get_close_matches  # noqa: PLC0415

    first = words[0]
    if first.startswith("-") or first.replace(".", "").isdigit():
        return UsageError("no command given", f"per physical CPU: kstats cpu {shlex.join(words)}")
    close = get_close_matches(first, (*COMMANDS, *PROGRAMS), n=1)
    meant = [name if name in PROGRAMS else f"kstats {name}" for name in close]
    hint = f"did you mean {meant[0]}?" if meant else "see kstats --help"
    return UsageError(f"unknown command {first!r}", hint)
