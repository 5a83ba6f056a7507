"""Commands in documents, with the output that stands below them: after ``$ kstats compare …``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "docs" / "compare.md",)

BLOCK = re.compile(r"^```\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)


def blocks(document: Path) -> Iterator[tuple[str, str]]:
    """Each command in a document, with the output that stands below it."""
    for match in BLOCK.finditer(document.read_text(encoding="utf-8")):
        yield match["command"], match["output"]


def output(command: str) -> str:
    """What a command prints, with the kstats of this Python first on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["bash", "-o", "pipefail", "-c", command]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, cwd=ROOT, env=environment, timeout=60
    )
    return done.stdout
