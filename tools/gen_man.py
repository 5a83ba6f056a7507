"""Write the man pages: prose from man/*.in, everything else from the program itself.

    tools/gen_man.py FOLDER

``man/kstats-exits.8.in`` is the page of ``kstats exits``, ``man/kvmexit.8.in`` that of ``kvmexit``.
A line such as ``@options@`` is replaced by what the function of that name below generates;
``@version@`` and ``@date@`` are replaced anywhere. The wheel is built with these pages
(hatch_build.py), so they describe the options of the installed version.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "man"
sys.path.insert(0, str(ROOT))

import kstats  # noqa: E402
from kstats import arch as arches  # noqa: E402
from kstats.cli import COMMANDS, main  # noqa: E402
from kstats.cli.options import Parser  # noqa: E402
from kstats.importers import FORMATS  # noqa: E402

DATE = "November 29, 2026"

_DIRECTIVE = re.compile(r"@(?P<name>[a-z]+)(?: (?P<argument>\S+))?@")
# What a usage line consists of: a bracket, a bar, an option, or a word.
_USAGE = re.compile(r"[][|]|--?[\w-]+|[^][|\s]+")
_BRACKETS = {"[": ".Oo", "]": ".Oc", "|": "|"}


def pages() -> dict[str, str]:
    """Return the text of every page by file name, like ``kstats.8``."""
    return {source.stem: "\n".join(_page(source)) + "\n" for source in sorted(SOURCES.glob("*.in"))}


def _page(source: Path) -> Iterator[str]:
    program = source.stem.split(".")[0]
    command = program.removeprefix("kstats-")
    for line in source.read_text(encoding="utf-8").splitlines():
        match = _DIRECTIVE.fullmatch(line)
        if match and match["name"] in _GENERATED:
            yield from _GENERATED[match["name"]](match["argument"] or command)
        else:
            yield line.replace("@version@", kstats.__version__).replace("@date@", DATE)


def command_line(command: str) -> Parser:
    """Return the parser of a command or program."""
    made: Parser = importlib.import_module(f"kstats.cli.{command}").parser()
    return made


def _head(command: str) -> Iterator[str]:
    """Everything before the description of a command's page."""
    yield f".Dd {DATE}"
    yield f".Dt KSTATS-{command.upper()} 8"
    yield f".Os kstats {kstats.__version__}"
    yield ".Sh NAME"
    yield f".Nm kstats-{command}"
    yield f".Nd {text(COMMANDS[command])}"
    yield ".Sh SYNOPSIS"
    yield from _synopsis(command)


def _synopsis(command: str) -> Iterator[str]:
    parser = command_line(command)
    yield f'.Nm "{parser.prog}"'
    words = parser.format_usage().removeprefix(f"usage: {parser.prog}")
    for word in _USAGE.findall(words):
        yield _BRACKETS.get(word) or (f".Fl {word[1:]}" if word[0] == "-" else f".Ar {word}")


def _options(command: str) -> Iterator[str]:
    parser = command_line(command)
    operands, options, *groups = parser._action_groups  # noqa: SLF001 - argparse has no other way
    yield from _list(parser, [*operands._group_actions, *options._group_actions])  # noqa: SLF001
    for group in groups:
        yield ".Pp"
        yield text(f"{_sentence(group.title or '')}:")
        yield from _list(parser, group._group_actions)  # noqa: SLF001
    if parser.rules:
        yield ".Pp"
        yield "Not all options combine:"
        yield ".Pp"
        yield ".Bl -bullet -compact"
        for rule in parser.rules:
            yield ".It"
            yield text(f"{rule}.")
        yield ".El"


def _common(_: str) -> Iterator[str]:
    """The options that every view of a live host has."""
    views = [command_line(command) for command in ("exits", "cpu", "vcpu")]
    shared = set.intersection(*({*view._option_string_actions} for view in views))  # noqa: SLF001
    actions = (a for a in views[0]._actions if a.dest != "help")  # noqa: SLF001
    yield from _list(views[0], [a for a in actions if shared.intersection(a.option_strings)])


def _list(parser: Parser, actions: Iterable[argparse.Action]) -> Iterator[str]:
    yield ".Bl -tag -width Ds"
    for action in actions:
        if action.help != argparse.SUPPRESS:
            yield f".It {_name(action)}"
            # As --help expands it.
            yield text(f"{_sentence(parser._get_formatter()._expand_help(action))}.")  # noqa: SLF001
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


def _commands(_: str) -> Iterator[str]:
    yield ".Bl -tag -width kstats-completion(8)"
    for command, summary in COMMANDS.items():
        yield f".It Xr kstats-{command} 8"
        yield text(f"{_sentence(summary)}.")
    yield ".El"


def _columns(_: str) -> Iterator[str]:
    for arch in arches.arches():
        yield f".Ss On {arch.title}"
        yield ".Bl -tag -width Ds"
        for column in arch.columns:
            name = f"{column.group}({column.label})" if column.group else column.label
            yield f".It Sy {name}"
            yield text(f"{_sentence(column.meaning)}.")
        yield ".El"


def _kvmstat(_: str) -> Iterator[str]:
    for arch in arches.arches():
        for isa in arch.isas:
            yield f".Ss On {isa.title}"
            yield ".Bl -tag -width Ds"
            for rule in arch.kvmstat.get(isa.name, ()):
                yield f".It Sy {rule.column}"
                yield text(f"{_sentence(rule.meaning)}.")
                if rule.is_counted and (rule.differs or rule.not_kept):
                    yield text(f"With --source kernel: {rule.differs or f'-, {rule.not_kept}'}.")
            yield ".El"


def _formats(_: str) -> Iterator[str]:
    yield ".Bl -tag -width Ds"
    for name, known in FORMATS.items():
        yield f".It Cm {name}"
        yield text(f"{known.about}.")
    yield ".El"


def _explain(reason: str) -> Iterator[str]:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        main(["explain", reason])
    yield from map(text, [f"$ kstats explain {reason}", *output.getvalue().splitlines()])


_GENERATED: Mapping[str, Callable[[str], Iterator[str]]] = {
    "head": _head,
    "synopsis": _synopsis,
    "options": _options,
    "common": _common,
    "commands": _commands,
    "columns": _columns,
    "kvmstat": _kvmstat,
    "formats": _formats,
    "explain": _explain,
}


def _sentence(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]


def text(line: str) -> str:
    """Escape a line of text, so that roff finds neither requests nor escapes in it."""
    escaped = line.replace("\\", r"\e").replace("-", r"\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def write(folder: Path) -> list[Path]:
    """Write every page into ``folder``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, page in pages().items():
        written.append(folder / name)
        written[-1].write_text(page, encoding="utf-8")
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
