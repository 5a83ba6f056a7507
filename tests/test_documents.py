"""README, docs/ and the changelog show real output, and their links work."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kstats.cli import COMMANDS
from tests import documented

WIDTH = 100
# Generated, or not wrapped yet.
UNWRAPPED = {
    "docs/reasons.md",
    "docs/categories.md",
}

every_document = pytest.mark.parametrize(
    "document", documented.DOCUMENTS, ids=lambda p: str(p.relative_to(documented.ROOT))
)

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TABLE = re.compile(r"\s*\|")


def prose(document: Path) -> Iterator[str]:
    """Yield the lines of a document that are not code."""
    code = False
    for line in document.read_text(encoding="utf-8").splitlines():
        code ^= line.startswith("```")
        if not code and line != "```":
            yield line


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_links_have_a_target(document: Path) -> None:
    for link in _LINK.findall("\n".join(prose(document))):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@every_document
def test_prose_wraps_at_100_columns(document: Path) -> None:
    if str(document.relative_to(documented.ROOT)) not in UNWRAPPED:
        for line in prose(document):
            assert len(line) <= WIDTH or _TABLE.match(line), line


@every_document
def test_documented_output_is_real(document: Path) -> None:
    """Commands after ``$`` print what stands below; python -m tools.gen_output updates it."""
    for command, shown in documented.blocks(document):
        assert documented.output(command) == shown


@every_document
def test_documented_options_exist(document: Path) -> None:
    for command, words in documented.options(document):
        module = "cpu" if command == "-v" else command
        assert module in COMMANDS
        parser = importlib.import_module(f"kstats.cli.{module}").parser()
        assert set(words) <= parser._option_string_actions.keys(), command


def test_documents_show_commands_with_their_output() -> None:
    shown = {d.name for d in documented.DOCUMENTS if any(documented.blocks(d))}
    assert shown >= {"README.md", "compare.md"}
