"""Find commands in the documents, and run those whose output stands below them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_PATTERNS = ("*.md", "docs/*.md", "lab/*.md", "examples/*/*.md", "tests/data/*/*.md")
DOCUMENTS = tuple(sorted(document for p in _PATTERNS for document in ROOT.glob(p)))

# A block with a command after "$ " and its output: anyone can run it in the checkout. Commands that
# need root or a KVM host stand after "# ".
BLOCK = re.compile(r"^```\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
# A command, up to a remark after two spaces.
_KSTATS = re.compile(r"(?:[#$] |ssh \w+ )?kstats (?P<words>(?:-v|[a-z]+)(?: \S+)*)")
_OPTION = re.compile(r"--?[a-zA-Z][\w-]*")


def blocks(document: Path) -> Iterator[tuple[str, str]]:
    """Yield each command of a document that can be run anywhere, and the output below it."""
    for match in BLOCK.finditer(document.read_text(encoding="utf-8")):
        yield match["command"], match["output"]


def output(command: str) -> str:
    """Return what a command prints, with the kstats of this Python first on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["bash", "-o", "pipefail", "-c", command]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, cwd=ROOT, env=environment, timeout=120
    )
    return done.stdout


def options(document: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each kstats command in the code of a document, with the options that it has there."""
    text = document.read_text(encoding="utf-8")
    code = [
        line
        for language, block in _FENCED.findall(text)
        if not language
        for line in block.splitlines()
    ]
    for line in (*code, *_INLINE.findall(_FENCED.sub("", text))):
        for part in re.split(r"[|&>()]", line):
            match = _KSTATS.match(part.strip())
            if match:
                command, *words = match["words"].split()
                yield command, [word for word in words if _OPTION.fullmatch(word)]
