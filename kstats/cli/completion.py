"""``kstats completion``: what makes a shell complete the words of kstats and its companions."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping

from kstats.cli import COMMANDS, options, streams
from kstats.errors import KstatsError

SHELLS = ("bash", "zsh", "fish")

PROGRAMS: Mapping[str, str] = {"kstats": "cpu", "kvmexit": "kvmexit", "kvmstat": "kvmstat"}
"""The module of each program that is installed; that of kstats has commands beside it."""

_EPILOG = """\
  kstats completion bash >/etc/bash_completion.d/kstats
  kstats completion zsh >"${fpath[1]}/_kstats"
  kstats completion fish >~/.config/fish/completions/kstats.fish

and the same for each PROGRAM. It names the options of the installed version: repeat it after
an upgrade.
"""


def parser() -> options.Parser:
    """The command line of ``kstats completion``."""
    p = options.Parser(
        prog="kstats completion",
        description="Print a script that makes a shell complete options and commands.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("shell", choices=SHELLS, metavar="SHELL", help="for bash, zsh or fish")
    p.add_argument(
        "program",
        nargs="?",
        choices=PROGRAMS,
        default="kstats",
        metavar="PROGRAM",
        help=f"of {' or '.join(PROGRAMS)} (default kstats)",
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
    """The command line of a program, with its commands as argparse knows such.

    ``files`` is shtab's word for what completes an argument that is called FILE.
    """
    own = _prepared(PROGRAMS[program], files)
    if program != "kstats":
        return own
    whole = argparse.ArgumentParser(prog=program, parents=[_options_of(own)], add_help=False)
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, module in COMMANDS.items():
        parent = _prepared(module, files)
        text = (parent.description or name).strip().splitlines()[0]
        commands.add_parser(name, parents=[parent], add_help=False, help=text)
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


def _options_of(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options alone: a command takes the place of the operands."""
    bare = argparse.ArgumentParser(add_help=False)
    for action in parser._actions:  # noqa: SLF001 - the same
        if action.option_strings:
            bare._add_action(action)  # noqa: SLF001
    return bare
