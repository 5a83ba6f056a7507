"""The command line: the only part of kstats that prints and exits."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence

from kstats.cli import streams
from kstats.errors import KstatsError, LoadError, OutputError

INTERRUPTED = 130

COMMANDS: Mapping[str, str] = {
    "arch": "arch",
    "compare": "compare",
    "completion": "completion",
    "decode": "decode",
    "doctor": "doctor",
    "exits": "exits",
    "vcpu": "vcpu",
    "explain": "explain",
    "record": "record",
    "report": "report",
}
"""The module of each command; without one, ``kstats`` is :mod:`kstats.cli.cpu`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``kstats`` with ``argv``; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _command(words)(words), debug="--debug" in words)


def _command(words: list[str]) -> Callable[[list[str]], int]:
    if words[:1] == ["help"]:
        return lambda rest: _command(rest[1:])([*rest[1:], "--help"])
    module = COMMANDS.get(words[0]) if words else None
    if module is None:
        return _runner("cpu")
    return lambda rest: _runner(module)(rest[1:])


def _runner(module: str) -> Callable[[list[str]], int]:
    # Imported late: each command loads only what it needs.
    run: Callable[[list[str]], int] = importlib.import_module(f"kstats.cli.{module}").run
    return run


def guarded(command: Callable[[], int], *, debug: bool, prog: str = "kstats") -> int:
    """Runs ``command``; a KstatsError becomes one line, a hint and its status.

    A reader that goes away ends it quietly, ^C before anything was counted with 130. Any other
    exception is a bug in kstats and keeps its traceback.
    """
    try:
        streams.prepare()
        return command()
    except KstatsError as error:
        if isinstance(error, OutputError):
            streams.discard()
        _explain(error, prog, debug=debug)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        streams.discard()
        return 0


def _explain(error: KstatsError, prog: str, *, debug: bool) -> None:
    lines = [f"{prog}: {error}"]
    if isinstance(error, LoadError) and error.log:
        if debug:
            lines += error.log.splitlines()
        else:
            lines += [
                f"{prog}: {error.complaint}",
                f"{prog}: hint: --debug shows everything the compiler and the kernel said",
            ]
    if error.hint:
        lines.append(f"{prog}: hint: {error.hint}")
    print("\n".join(lines), file=sys.stderr)
