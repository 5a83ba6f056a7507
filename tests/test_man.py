"""The man pages: every option that --help tells of, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kstats import arch as arches
from kstats.cli import COMMANDS, PROGRAMS

ROOT = Path(__file__).parent.parent
_OVERSTRUCK = re.compile(".\b")
_OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each page as a terminal shows it."""
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, ROOT / "tools" / "gen_man.py", folder], check=True, timeout=20)
    return {file.stem: shown(file) for file in folder.iterdir()}


def shown(page: Path) -> str:
    """A page as a terminal of any width shows it."""
    command = ["mandoc", "-T", "utf8", "-O", "width=200", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return _OVERSTRUCK.sub("", done.stdout)


def part(page: str, heading: str) -> str:
    """The part of a page below a heading, up to the next of its kind."""
    indent = " " * (len(heading) - len(heading.lstrip()))
    match = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^{indent}\S|^\S|\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert match, f"{heading!r} is missing"
    return match[1]


def options_of(text: str, indent: int) -> set[str]:
    """The options that lists in a text begin lines with."""
    lines = re.findall(rf"^ {{{indent}}}(-[^\n]*?)(?:  |$)", text, re.MULTILINE)
    return {option for line in lines for option in _OPTION.findall(line)}


def help_of(program: str, *words: str) -> set[str]:
    """The options that ``--help`` shows."""
    module = "kstats" if program == "kstats" else f"kstats.cli.{program}"
    code = f"import {module}.cli as m" if module == "kstats" else f"import {module} as m"
    command = [sys.executable, "-c", f"{code}; m.main()", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return options_of(done.stdout, 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_options(pages: dict[str, str], command: str) -> None:
    told = options_of(part(pages["kstats"], f"   kstats {command}"), 5)
    assert told == help_of("kstats", command)
    assert "--help" in told


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_has_its_options(pages: dict[str, str], program: str) -> None:
    told = options_of(part(pages[program], "DESCRIPTION"), 5)
    assert told == help_of(program)
    assert "--help" in told


def test_every_program_has_a_page(pages: dict[str, str]) -> None:
    assert pages.keys() == {"kstats", *PROGRAMS}


@pytest.mark.parametrize("section", ["EXIT STATUS", "EXAMPLES", "SEE ALSO", "CAVEATS"])
def test_every_page_has_what_people_look_for(pages: dict[str, str], section: str) -> None:
    for page in pages.values():
        assert part(page, section).strip()


def test_every_column_is_explained(pages: dict[str, str]) -> None:
    for arch in arches.arches():
        told = " ".join(part(pages["kstats"], f"   On {arch.title}").split())
        for column in arch.columns:
            assert f"{column.label}) {column.meaning[0].upper()}" in told or (
                f"{column.label} {column.meaning[0].upper()}" in told
            )
            assert f"{column.meaning[1:]}." in told
