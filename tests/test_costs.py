"""The costs that kstats shows are those that the README documents."""

from __future__ import annotations

import re
from pathlib import Path

from kstats import costs

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(kstats [^`]+)`[^|]*((?:\| \+[\d,]+ ){3})", re.MULTILINE)


def test_costs_are_those_of_the_readme() -> None:
    rows = {
        command: tuple(int(cell.strip("+ ").replace(",", "")) for cell in cells.split("|")[1:])
        for command, cells in _ROW.findall(README)
    }
    assert rows == costs.ADDED
    heading = README[: README.index("| `kstats cpu`, exits")].splitlines()[-2]
    assert tuple(cell.strip() for cell in heading.split("|")[2:5]) == costs.HOSTS


def test_ranges() -> None:
    assert costs.range_of("kstats exits --latency") == "909 to 1,106 instructions"
