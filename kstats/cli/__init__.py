"""The command line: the only part of kstats that prints and exits."""

from __future__ import annotations

import gc
import importlib
import os
import sys

import kstats
from kstats.cli import streams
from kstats.errors import KstatsError, LoadError, OutputError

TYPE_CHECKING = False  # as in streams: a command that prints a line imports nothing for it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INTERRUPTED = 130

TASKS: Mapping[str, Mapping[str, str]] = {
    "watch this host": {
        "cpu": "show VM exits per physical CPU (also: kstats -v)",
        "exits": "show exits by VM, vCPU, reason or any other axes",
        "vcpu": "show exits, injected interrupts and more per vCPU",
        "top": "show CPUs, VMs, vCPUs and reasons live on a full screen",
        "why": "find what makes VMs slow, and what to change",
    },
    "record and compare": {
        "record": "write samples to a file; every view reads it with --input",
        "compare": "compare recordings, or this host, by category of exit",
        "report": "draw recordings as an HTML page",
        "export": "write a recording in the format of another program",
        "demo": "show kstats top on an example recording",
        "decode": "show what other tools recorded or printed",
        "exporter": "serve counters to Prometheus, of this host or of a recording",
    },
    "look up and set up": {
        "explain": "explain an exit reason, its causes and remedies",
        "arch": "list the exit codes of every architecture",
        "doctor": "check this host and suggest fixes",
        "completion": "print a completion script for bash, zsh or fish",
    },
}
"""What each command does, by task; a command is the module of its name in this package."""

COMMANDS: Mapping[str, str] = {
    command: summary for commands in TASKS.values() for command, summary in commands.items()
}
"""The summary of each command, as help, manual pages and completion show it."""

PROGRAMS = ("kvmexit", "kvmstat")
"""Programs of their own, which people try as commands."""

EXIT_STATUS = """\
exit status:
  0    success, also after ^C
  1    failure; the message says why
  2    invalid command line
  3    missing privileges
  4    this host cannot show VM exits
  5    the BPF program does not load
  6    an architecture backend is broken
  7    a recording cannot be read or written, or Prometheus cannot be read
  8    kstats decode, kstats why: more than 5 % of the exits in the file were not understood
  10   kstats compare: a ratio reached its threshold; kstats why: a finding reached --fail-on
  130  ^C before the first report, or while a pipe that nobody reads is full
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kstats`` with ``argv``; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(words), debug="--debug" in words)


def _run(words: list[str]) -> int:
    first = words[0] if words else ""
    if first in COMMANDS:
        return _command(first)(words[1:])
    if first == "help" and words[1:]:
        return _run([*words[1:], "--help"])
    if first in ("-V", "--version"):
        return _print(f"kstats {kstats.__version__}")
    if first in ("", "help"):
        return _print(overview())
    if first in ("-h", "--help"):
        return _print(f"{overview()}\n\n{EXIT_STATUS}")
    # Fuchsia's spelling of the view: kstats -v, among other options.
    return _command("cpu", "run_fuchsia")(words)


def _command(name: str, function: str = "run") -> Callable[[list[str]], int]:
    streams.heed_signals()
    # Imported late: each command loads only what it needs.
    run: Callable[[list[str]], int] = vars(importlib.import_module(f"kstats.cli.{name}"))[function]
    return run


def overview() -> str:
    """Return what ``kstats`` alone prints: every command by task, in at most 20 lines."""
    lines = ["usage: kstats COMMAND [options] [operands]; kstats COMMAND --help shows them"]
    for task, commands in TASKS.items():
        lines += [f"{task}:", *(f"  {name:<11} {text}" for name, text in commands.items())]
    return "\n".join(lines)


def _print(text: str) -> int:
    with streams.writing() as out:
        out.write(f"{text.rstrip()}\n")
    return 0


def guarded(command: Callable[[], int], *, debug: bool, prog: str = "kstats") -> int:
    """Run ``command``; print a KstatsError as one line and a hint, and return its status.

    When the reader of a pipe goes away, end quietly; on ^C before the first report return
    :data:`INTERRUPTED`. Any other exception is a bug in kstats and keeps its traceback.
    """
    if os.geteuid() == 0 and not sys.flags.isolated:
        sys.path[:] = filter(is_roots, sys.path)
    # Importing creates many objects and no garbage; looking for that takes a 20th of a start.
    gc.set_threshold(10_000)
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


def is_roots(folder: str) -> bool:
    """Return whether root may import modules from an entry of ``sys.path``.

    It may from the folder of kstats and those of the interpreter, which run already, and from what
    belongs to root: not from what a user has put on ``PYTHONPATH``, into the user's site-packages,
    or into the working directory.
    """
    path = os.path.abspath(folder)  # noqa: PTH100 - importing pathlib takes as long as all else
    ours = os.path.dirname(os.path.dirname(kstats.__file__))  # noqa: PTH120
    if path == ours or path.startswith((f"{sys.prefix}/", f"{sys.base_prefix}/")):
        return True
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return False
    return found.st_uid == 0 and not found.st_mode & 0o002


def _explain(error: KstatsError, prog: str, *, debug: bool) -> None:
    lines = [f"{prog}: {error}"]
    if isinstance(error, LoadError) and error.log:
        if debug:
            lines += error.log.splitlines()
        else:
            lines += [
                f"{prog}: {error.complaint}",
                f"{prog}: hint: --debug shows the whole log of the compiler and the kernel",
            ]
    if error.hint:
        lines.append(f"{prog}: hint: {error.hint}")
    print("\n".join(lines), file=sys.stderr)
