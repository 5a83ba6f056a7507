"""``kstats completion``: what makes a shell complete the words of kstats and its companions."""

from __future__ import annotations

import argparse
import importlib

from kstats.cli import COMMANDS, PROGRAMS, options, streams
from kstats.errors import KstatsError

SHELLS = ("bash", "zsh", "fish")

_NAMES = ("kstats", *PROGRAMS)

_DESCRIPTION = """\
  kstats completion bash >/etc/bash_completion.d/kstats
  kstats completion zsh >"${fpath[1]}/_kstats"
  kstats completion fish >~/.config/fish/completions/kstats.fish
"""

_EPILOG = """\
Do the same for each PROGRAM. The script lists the options of the installed version: repeat this
after an upgrade.
"""


def parser() -> options.Parser:
    """The command line of ``kstats completion``."""
    p = options.Parser.of("completion", "SHELL [PROGRAM]", _DESCRIPTION, _EPILOG)
    p.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    p.add_argument(
        "program",
        nargs="?",
        choices=_NAMES,
        default="kstats",
        metavar="PROGRAM",
        help=f"{', '.join(_NAMES)} (default kstats)",
    )
    p.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return p


def run(words: list[str]) -> int:
    """Runs ``kstats completion``; returns the exit status."""
    args = parser().parse(words)
    try:
        import shtab  # noqa: PLC0415 - nothing else needs it
    except ImportError:
        raise KstatsError("shtab is not installed", "pip install shtab") from None
    wanted = program_parser(args.program, files=shtab.FILE)
    text = shtab.complete(wanted, args.shell)
    with streams.writing() as out:
        out.write(f"{text}\n")
    return 0


def program_parser(program: str, files: object = None) -> argparse.ArgumentParser:
    """Return the command line of a program, its commands as argparse's subparsers.

    ``files`` is what shtab completes an argument named FILE with.
    """
    if program != "kstats":
        return _prepared(program, files)
    whole = argparse.ArgumentParser(prog=program)
    whole.add_argument("-V", "--version", action="store_true")
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, summary in COMMANDS.items():
        parent = _prepared(name, files)
        commands.add_parser(name, parents=[parent], add_help=False, help=summary)
    return whole


def _prepared(module: str, files: object) -> argparse.ArgumentParser:
    """The command line of a module of :mod:`kstats.cli`, as shtab wants it."""
    made: argparse.ArgumentParser = importlib.import_module(f"kstats.cli.{module}").parser()
    for action in made._actions:  # noqa: SLF001 - argparse has no other way to tell
        if isinstance(action.choices, dict):
            action.choices = tuple(action.choices)  # it takes a mapping for commands
        if action.metavar == "FILE" and files:
            vars(action)["complete"] = files
    return made
