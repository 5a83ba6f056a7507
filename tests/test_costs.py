"""The costs that kstats shows and documents are those of the recorded run of the benchmark."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from kstats import costs

ROOT = Path(__file__).parent.parent
_ROW = re.compile(
    rf"^\| `(kstats [^`]+)`[^|]*((?:\| \+[\d,]+ ){{{len(costs.HOSTS)}}})", re.MULTILINE
)


def test_the_documented_costs_are_those_of_the_recorded_run() -> None:
    command = [sys.executable, "-m", "tools.gen_costs", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert not done.returncode, done.stderr


def test_the_readme_has_the_costs_that_kstats_shows() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {
        command: tuple(int(cell.strip("+ ").replace(",", "")) for cell in cells.split("|")[1:])
        for command, cells in _ROW.findall(readme)
    }
    assert rows.items() >= costs.ADDED.items()
    heading = readme[: readme.index("\n| `kstats cpu`")].splitlines()[-2]
    assert tuple(cell.strip() for cell in heading.split("|")[2:])[: len(costs.HOSTS)] == costs.HOSTS


def test_ranges() -> None:
    least, most = min(costs.ADDED["kstats exits"]), max(costs.ADDED["kstats exits"])
    assert costs.range_of("kstats exits") == f"{least} to {most} instructions"
