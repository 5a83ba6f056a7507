"""What commands cost before they do anything: the instructions that Python executes for each.

Counted by callgrind (apt install valgrind), so a busy machine does not matter. Python runs without
``site``: what an environment imports at start is not ours.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.table import Budget, Table

ROOT = Path(__file__).parent.parent

_MILLION = 1_000_000
_RECORDING = "examples/recordings/svm.jsonl"

BUDGETS: Mapping[str, int] = {
    "kstats --version": 47,
    "kstats --help": 47,
    "kstats explain HLT": 130,
    f"kstats -v --input {_RECORDING}": 390,
}
"""Millions of instructions that each command may take."""


def instructions(*words: str) -> int:
    """Return the instructions that ``python words`` executes.

    Raises:
        subprocess.CalledProcessError: The command fails.
        ValueError: callgrind does not print a figure.
    """
    path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("-packages"))])
    command = [sys.executable, "-S", *words]
    # The first run writes the byte code; a fixed hash seed makes the second one repeatable.
    ours = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}
    environment = {**os.environ, **ours}
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    for prefix in ([], valgrind):
        done = subprocess.run(
            [*prefix, *command],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=environment,
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if not found:
        raise ValueError(f"callgrind printed {done.stderr!r}")
    return int(found[1])


def tables() -> Iterator[Table]:
    """Yield the table of all commands."""
    bare = instructions("-c", "pass")
    rows = [("python3 -c pass", f"{bare / _MILLION:.0f}", "")]
    budgets = []
    for command, budget in BUDGETS.items():
        used = instructions("-m", *command.split()) / _MILLION
        rows.append((command, f"{used:.0f}", str(budget)))
        budgets.append(Budget("start", f"M instructions of {command}", budget, used))
    headings = ("command", "M instructions", "budget")
    yield Table("start of commands", headings, rows, budgets=budgets)
