"""Writes the man pages: prose from man/*.in, options and columns from the program itself.

    tools/gen_man.py FOLDER

A line ``@options MODULE@`` in a page becomes the options of that module of kstats.cli,
``@columns@`` the columns of ``kstats cpu`` on every architecture, ``@kvmstat@`` those of kvmstat,
and ``@commands@`` a section for each command. The wheel is built with what this writes
(hatch_build.py), so a page has the options of the version that it is installed with.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "man"
sys.path.insert(0, str(ROOT))

import kstats  # noqa: E402
from kstats import arch as arches  # noqa: E402
from kstats.cli import COMMANDS  # noqa: E402

_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")  # mandoc wants a line for each
_INSERTED = re.compile(r"@(?P<what>\w+)(?: (?P<of>\w+))?@")


def pages() -> dict[str, str]:
    """The text of every page by its file's name: ``kstats.8``."""
    return {source.stem: "\n".join(_page(source)) + "\n" for source in sorted(SOURCES.glob("*.in"))}


def _page(source: Path) -> Iterator[str]:
    for line in source.read_text(encoding="utf-8").splitlines():
        match = _INSERTED.fullmatch(line)
        if match:
            yield from _INSERT[match["what"]](match["of"])
        else:
            yield line.replace("@version@", kstats.__version__)


def command_line(module: str) -> argparse.ArgumentParser:
    """The parser of a module of kstats.cli."""
    made: argparse.ArgumentParser = importlib.import_module(f"kstats.cli.{module}").parser()
    return made


def _options(module: str) -> Iterator[str]:
    parser = command_line(module)
    yield ".Bl -tag -width Ds"
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to tell
        if action.help != argparse.SUPPRESS:
            yield f".It {_name(action)}"
            yield text(_help(parser, action))
    yield ".El"


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"Ar {_argument(action)}"
    value = "" if action.nargs == 0 else f" Ar {_argument(action)}"
    return " , ".join(f"Fl {option[1:]}{value}" for option in action.option_strings)


def _argument(action: argparse.Action) -> str:
    if action.metavar:
        return str(action.metavar)
    if action.choices:
        return " | ".join(map(str, action.choices))
    return action.dest


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    said = parser._get_formatter()._expand_help(action)  # noqa: SLF001 - as --help does it
    return f"{said[:1].upper()}{said[1:]}."


def _commands(_: str) -> Iterator[str]:
    for command in COMMANDS:
        parser = command_line(command)
        usage = parser.format_usage().removeprefix("usage: ").split()
        yield f".Ss kstats {command}"
        yield from _verbatim([" ".join(usage)])
        yield from prose(parser.description or "")
        yield from _options(command)
        yield from prose(parser.epilog or "")


def prose(written: str) -> Iterator[str]:
    """Help text as mdoc: what is indented or in columns stays as it is, the rest flows."""
    for block in re.split(r"\n\s*\n", written.strip("\n")):
        lines = block.splitlines()
        if any(re.search(r"^ |\S {2,}\S", line) for line in lines):
            yield from _verbatim(lines)
        elif block.strip():
            yield ".Pp"
            yield from map(text, _SENTENCE_END.split(" ".join(block.split())))


def _verbatim(lines: list[str]) -> Iterator[str]:
    yield ".Bd -literal -offset 2n"
    yield from map(text, lines)
    yield ".Ed"


def _columns(_: str) -> Iterator[str]:
    for arch in arches.arches():
        yield f".Ss On {arch.title}"
        yield ".Bl -tag -width Ds"
        for column in arch.columns:
            name = f"{column.group}({column.label})" if column.group else column.label
            yield f".It Sy {name}"
            yield text(f"{column.meaning[:1].upper()}{column.meaning[1:]}.")
        yield ".El"


def _kvmstat(_: str) -> Iterator[str]:
    for arch in arches.arches():
        for isa in arch.isas:
            yield f".Ss On {isa.title}"
            yield ".Bl -tag -width Ds"
            for rule in arch.kvmstat.get(isa.name, ()):
                yield f".It Sy {rule.column}"
                yield text(f"{rule.meaning[:1].upper()}{rule.meaning[1:]}.")
                if rule.is_counted and (rule.differs or rule.unkept):
                    yield text(f"With --source kernel: {rule.differs or f'-, {rule.unkept}'}.")
            yield ".El"


_INSERT: Mapping[str, Callable[[str], Iterator[str]]] = {
    "options": _options,
    "commands": _commands,
    "columns": _columns,
    "kvmstat": _kvmstat,
}


def text(said: str) -> str:
    """A line of text that roff takes for nothing else."""
    escaped = said.replace("\\", r"\e").replace("-", r"\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def write(folder: Path) -> list[Path]:
    """Writes every page into ``folder``; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, page in pages().items():
        written.append(folder / name)
        written[-1].write_text(page, encoding="utf-8")
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
