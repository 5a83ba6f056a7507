"""The screenshot and the table of keys in docs/top.md are those of this version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from kstats.top.keys import BINDINGS

ROOT = Path(__file__).parents[2]


def test_they_are_up_to_date() -> None:
    """``make docs`` writes them."""
    words = [sys.executable, "-m", "tools.gen_screenshot", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_screenshot_shows_text() -> None:
    svg = (ROOT / "docs" / "top.svg").read_text(encoding="utf-8")
    ET.fromstring(svg)  # noqa: S314 - written by ourselves; it must be well-formed
    text = " ".join(re.findall(r">([^<]+)<", svg))
    for words in ("kstats top", "AMD SVM", "4 Reasons", "hypercall", "q:quit"):
        assert words in text


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "top.md").read_text(encoding="utf-8")
    for binding in BINDINGS:
        assert all(f"`{key}`" in page for key in binding.keys)
