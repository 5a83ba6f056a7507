"""``kstats cpu`` and ``kstats -v``: VM entries and exits per physical CPU.

Most of a start is importing modules. This one imports few, so that the worker starts before most
are imported (:mod:`kstats.cli.watch_cpu`).
"""

from __future__ import annotations

from kstats.cli import COMMANDS, PROGRAMS
from kstats.errors import UsageError

TYPE_CHECKING = False  # as in kstats.cli
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kstats.cli import options
    from kstats.loader.process import Worker


def parser() -> options.Parser:
    """Return the command line of ``kstats cpu``."""
    from kstats.cli import cpu_options  # noqa: PLC0415 - see above

    return cpu_options.parser()


def run(words: list[str]) -> int:
    """Run ``kstats cpu``; return the exit status."""
    with _worker(words) as started:
        from kstats.cli import watch_cpu  # noqa: PLC0415 - while the worker starts

        watch_cpu.watch(watch_cpu.parse(words), started)
    return 0


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
    with _worker(words) as started:
        from kstats.cli import watch_cpu  # noqa: PLC0415 - while the worker starts

        wanted = watch_cpu.parse(words)
        if not wanted.per_cpu:
            raise _no_command(words)
        watch_cpu.watch(wanted, started)
    return 0


def _worker(words: list[str]) -> AbstractContextManager[Worker | None]:
    """Start the worker that will be needed, as far as a glance at the words shows.

    If that is wrong, a process has been started in vain, or the right one is started later.
    """
    from contextlib import nullcontext  # noqa: PLC0415 - see above

    if {"-h", "--help", "--input"} & {word.partition("=")[0] for word in words}:
        return nullcontext()
    from kstats.loader import process  # noqa: PLC0415 - recordings do not need it

    return process.early("bcc" if "bcc" in {word.rpartition("=")[2] for word in words} else None)


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
