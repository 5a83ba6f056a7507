"""Checked values for the command line: one clear line for each that makes no sense."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from typing import NoReturn, Self

from kstats import arch as arches
from kstats.arch import lookup
from kstats.cli import COMMANDS, streams
from kstats.errors import UsageError
from kstats.model import Code

SHORTEST, LONGEST = 0.01, 86400.0
"""Bounds of an interval, seconds."""

MOST = 10**18 - 1

_DECIMAL = re.compile(r"\d{1,9}(\.\d*)?|\.\d+", re.ASCII)


class Parser(argparse.ArgumentParser):
    """A parser that raises :class:`UsageError` for a wrong command line.

    ``usage``, ``description`` and ``epilog`` are printed as they are.
    """

    def __init__(self, prog: str, usage: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog,
            usage,
            description,
            epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    @classmethod
    def of(cls, command: str, operands: str, description: str = "", epilog: str = "") -> Self:
        """Return the parser of a command of kstats; its summary begins the description."""
        prog, summary = f"kstats {command}", COMMANDS[command]
        whole = f"{summary[0].upper()}{summary[1:]}.\n\n{description}"
        return cls(prog, f"{prog} [options] {operands}".rstrip(), whole, epilog)

    def add_format(self, formats: Iterable[str]) -> None:
        """Add ``-f``/``--format``; the first of ``formats`` is the default."""
        names = list(formats)
        text = f"output format (default {names[0]})"
        self.add_argument("-f", "--format", choices=names, default=names[0], help=text)

    def parse(self, words: list[str]) -> argparse.Namespace:
        """The values of ``words``; after --help and --version it raises SystemExit(0)."""
        with streams.writing():
            return self.parse_args(words)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Called by argparse after --help and --version."""
        sys.stdout.flush()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        """Called by argparse for anything wrong."""
        raise UsageError(message, f"see {self.prog} --help")


def seconds(text: str, what: str = "interval") -> float:
    """An interval: a decimal number of seconds."""
    if not _DECIMAL.fullmatch(text) or not SHORTEST <= float(text) <= LONGEST:
        raise UsageError(
            f"{what} {text!r} is not between {SHORTEST} and {LONGEST:.0f} seconds",
            "give seconds; fractions are fine, like 0.5",
        )
    return float(text)


def times(text: str, what: str = "count", without: str = "go on until ^C") -> int:
    """A count: a whole number from 1 on. ``without`` says what happens if there is none."""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not int(text):
        raise UsageError(
            f"{what} {text!r} is not a whole number from 1 on",
            f"leave it out to {without}",
        )
    return int(text)


def reasons(text: str, isas: Iterable[str] = ()) -> set[Code]:
    """The exits that ``npf,io``, ``0x7b`` or a column or category mean: of these ISAs, or of all.

    Raises:
        UnknownReasonError: nothing there is called so.
        UnknownNameError: there is no such ISA.
    """
    wanted = tuple(map(arches.isa, isas)) or None
    named = [lookup.meant(name.strip(), wanted) for name in text.split(",")]
    return {(isa.name, reason.code) for found in named for isa, reason in found}
