"""The documents agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kstats import arch
from kstats.arch.base import Category

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
TOY = ROOT / "tests" / "data" / "toy_backend"


def test_every_category_has_its_section() -> None:
    headings = re.findall(r"^## (\w+)$", (DOCS / "categories.md").read_text(), re.MULTILINE)
    assert headings == list(Category)


def test_categories_mention_only_existing_reasons() -> None:
    known = {r.name for one in arch.arches() for isa in one.isas for r in isa.reasons.values()}
    known |= {"VMMCALL", "HVC", "SMC", "MWAIT", "MONITOR", "PAUSE"}  # instructions
    text = (DOCS / "categories.md").read_text()
    mentioned = set(re.findall(r"`(\w+(?: excp)?)`", text)) - set(Category)
    assert mentioned - known == set()


@pytest.mark.parametrize(
    ("language", "file"),
    [
        ("c", "toy_backend/toy.c"),
        ("toml", "pyproject.toml"),
        ("python", "toy_backend/__init__.py"),
    ],
)
def test_the_documented_backend_is_the_tested_one(language: str, file: str) -> None:
    text = (DOCS / "backends.md").read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shown = [block for block in blocks if "ContractTests" not in block]
    assert shown
    for block in shown:
        assert block in (TOY / file).read_text()


def test_links_have_a_target() -> None:
    for document in ("categories.md", "backends.md", "reasons.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / document).read_text()):
            assert (DOCS / link).exists(), f"{document}: {link}"
