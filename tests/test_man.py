"""Man pages: one per command and program, with the options that --help shows, and no others."""

from __future__ import annotations

import importlib
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
    subprocess.run([sys.executable, ROOT / "tools" / "gen_man.py", folder], check=True, timeout=120)
    return {file.stem: shown(file) for file in folder.iterdir()}


def shown(page: Path) -> str:
    """Return a page as a wide terminal shows it."""
    command = ["mandoc", "-T", "utf8", "-O", "width=200", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return _OVERSTRUCK.sub("", done.stdout)


def part(page: str, heading: str) -> str:
    """Return the part of a page below a heading, up to the next heading of its level."""
    indent = " " * (len(heading) - len(heading.lstrip()))
    match = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^{indent}\S|^\S|\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert match, f"{heading!r} is missing"
    return match[1]


def options_of(text: str, indent: int) -> set[str]:
    """Return the options at which list items in a text begin."""
    lines = re.findall(rf"^ {{{indent}}}(-[^\n]*?)(?:  |$)", text, re.MULTILINE)
    return {option for line in lines for option in _OPTION.findall(line)}


def help_of(program: str, *words: str) -> set[str]:
    """Return the options that ``--help`` shows."""
    module = "kstats.cli" if program == "kstats" else f"kstats.cli.{program}"
    command = [sys.executable, "-c", f"import {module} as m; m.main()", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return options_of(done.stdout, 2)


def test_every_command_and_program_has_a_page(pages: dict[str, str]) -> None:
    assert pages.keys() == {"kstats", *(f"kstats-{command}" for command in COMMANDS), *PROGRAMS}


@pytest.mark.parametrize("command", COMMANDS)
def test_page_of_a_command_has_its_options_and_summary(pages: dict[str, str], command: str) -> None:
    page = pages[f"kstats-{command}"]
    documented = options_of(part(page, "OPTIONS"), 5)
    assert documented == help_of("kstats", command)
    assert "--help" in documented
    name, _, *summary = part(page, "NAME").split()
    assert (name, " ".join(summary)) == (f"kstats-{command}", COMMANDS[command])
    assert f"kstats-{command}(8)" in part(pages["kstats"], "COMMANDS")


@pytest.mark.parametrize("program", PROGRAMS)
def test_page_of_a_program_has_its_options(pages: dict[str, str], program: str) -> None:
    documented = options_of(part(pages[program], "OPTIONS"), 5)
    assert documented == help_of(program)
    assert "--help" in documented


def test_synopsis_is_the_usage_line(pages: dict[str, str]) -> None:
    for command in COMMANDS:
        usage = importlib.import_module(f"kstats.cli.{command}").parser().format_usage()
        synopsis = part(pages[f"kstats-{command}"], "SYNOPSIS")
        assert ["usage:", *synopsis.split()] == usage.split()


def test_common_options_are_those_of_every_live_view(pages: dict[str, str]) -> None:
    common = options_of(part(pages["kstats"], "COMMON OPTIONS"), 5)
    views = [help_of("kstats", command) for command in ("cpu", "exits", "vcpu")]
    assert common == set.intersection(*views) | {"-V", "--version"}


@pytest.mark.parametrize(
    "section", ["DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO", "CAVEATS"]
)
def test_every_page_has_the_usual_sections(pages: dict[str, str], section: str) -> None:
    for page in pages.values():
        assert part(page, section).strip()


def test_every_column_is_explained(pages: dict[str, str]) -> None:
    for arch in arches.arches():
        explained = " ".join(part(pages["kstats-cpu"], f"   On {arch.title}").split())
        for column in arch.columns:
            assert f"{column.label}) {column.meaning[0].upper()}" in explained or (
                f"{column.label} {column.meaning[0].upper()}" in explained
            )
            assert f"{column.meaning[1:]}." in explained
