"""``kstats cpu`` and ``kstats -v``: VM entries and exits per physical CPU."""

from __future__ import annotations

import attrs

from kstats.cli import COMMANDS, PROGRAMS
from kstats.cli.cpu_options import CpuOptions, parser
from kstats.cli.session import Session, Source
from kstats.cli.view_options import Wanted
from kstats.errors import UsageError
from kstats.render import WITH_REASONS
from kstats.views import View

__all__ = ["parser", "run", "run_fuchsia"]


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
    # A key that cannot be sorted by is reported first. All other views are imported while the
    # first report is waited for: that is not part of a start.
    view = _view(wanted) if wanted.sort else None
    of_recording = Wanted(requires=("entries",), cpus=wanted.cpus or ())
    with Session.open(timed, lambda: _collect(wanted), of_recording) as session:
        session.show(view or _view(wanted))
    return 0


def _view(wanted: CpuOptions) -> View:
    from kstats.views.percpu import Options, PerCpuView  # noqa: PLC0415 - see _watch

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
        )
    )


def _collect(wanted: CpuOptions) -> Source:
    from kstats.loader import process  # noqa: PLC0415 - recordings do not need it

    with process.early(wanted.loader) as started:
        from kstats.cli import live_cpu  # noqa: PLC0415 - while the worker starts

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
