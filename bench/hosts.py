"""What each tool adds to an exit, in instructions, in emulated hosts that count them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from bench.table import Cell, Table
from tests.hosts import Recipe, boot
from tests.hosts.recipes import BENCHES
from tests.payload import payload

HERE = Path(__file__).parent
COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
_TIMEOUT = 3000.0

NOTHING, PERCPU, THREADS = "nothing", "kstats -v", "kstats exits"
ONE = "one"

Figures = Mapping[str, Mapping[str, float]]
"""Instructions an exit, by tool, then by way of running the vCPUs (bench/inside.py)."""


@attrs.frozen
class Budget:
    """What an exit may cost at most, in instructions."""

    host: str
    what: str
    most: float
    found: float

    @property
    def holds(self) -> bool:
        """Whether it does not cost more."""
        return self.found <= self.most

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "BROKEN"
        return f"{self.host}: {self.what}: {self.found:+.0f} of {self.most:+.0f}: {verdict}"


def measure(recipe: Recipe) -> Figures:
    """Boots the host and runs everything there."""
    with tempfile.TemporaryDirectory() as scratch:
        shared = Path(scratch, "payload")
        shutil.copytree(payload(), shared)
        for script in ("inside.py", "kvmexit.py"):
            shutil.copy(HERE / script, shared)
        compiler = COMPILERS[recipe.arch]
        subprocess.run([compiler, *_FLAGS, HERE / "exits.c", "-o", shared / "exits"], check=True)
        with boot(recipe, payload=shared) as host:
            said = host.run(
                ["python3", "-u", "/payload/inside.py", "/payload/exits"], timeout=_TIMEOUT
            ).check()
    found = [json.loads(line) for line in said.stdout.splitlines()]
    return {figures.pop("tool"): figures for figures in found}


def added(figures: Figures, tool: str, way: str = ONE) -> float:
    """What ``tool`` adds to an exit."""
    return figures[tool][way] - figures[NOTHING][way]


def table(recipe: Recipe, figures: Figures) -> Table:
    """Everything that was measured in a host."""
    ways = list(figures[NOTHING])
    headings = ("tool", *map(_title, ways))
    rows: list[tuple[Cell, ...]] = [(NOTHING, *(figures[NOTHING][way] for way in ways))]
    rows += [
        (tool, *(added(figures, tool, way) if way in found else None for way in ways))
        for tool, found in figures.items()
        if tool != NOTHING
    ]
    title = f"{recipe.name}: instructions of an exit and the entry after it, and what is added"
    return Table(title, headings, rows)


def _title(way: str) -> str:
    vcpus, _, turn = way.partition(", ")
    return f"{vcpus} vCPU" + ("s" if vcpus != ONE else "") + (f", turn {turn}" if turn else "")


SPREAD = 10
"""Instructions by which an exit of vCPUs that share a CPU may differ from that of one alone: a
second look into the table."""

_PERCPU_MOST = {"bench-svm": 365, "bench-svm-6.12": 240}


def budgets(recipe: Recipe, figures: Figures) -> Iterator[Budget]:
    """Each budget that there is for this host."""
    alone = added(figures, PERCPU)
    if recipe.name in _PERCPU_MOST:
        yield Budget(recipe.name, f"{PERCPU} an exit", _PERCPU_MOST[recipe.name], alone)
    most = alone + 100
    yield Budget(recipe.name, f"{THREADS} an exit", most, added(figures, THREADS))
    for tool in (PERCPU, THREADS):
        for way in figures[tool]:
            vcpus, _, turn = way.partition(", ")
            if turn and vcpus != ONE:
                most = added(figures, tool, f"{ONE}, {turn}") + SPREAD
                what = f"{tool}, {vcpus} vCPUs, turn {turn}"
                yield Budget(recipe.name, what, most, added(figures, tool, way))


def tables() -> Iterator[tuple[Table, list[Budget]]]:
    """Each host's table and budgets."""
    for recipe in BENCHES:
        figures = measure(recipe)
        yield table(recipe, figures), list(budgets(recipe, figures))
