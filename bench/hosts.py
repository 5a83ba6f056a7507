"""What each tool adds to an exit, and what a start takes, in hosts that count instructions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from bench.table import Budget, Cell, Table
from lab.hosts import CommandError, CommandTimeoutError, HostLostError, Recipe, boot
from lab.hosts.progress import say
from lab.hosts.recipes import BENCHES
from lab.payload import payload

HERE = Path(__file__).parent
COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
_INSIDE = ("python3", "/payload/inside.py")
_EXITS = "/payload/exits"
_TIMEOUT = 600.0
"""Seconds for a tool: a minute does, of a machine that has nothing else to do."""

NOTHING, PERCPU, THREADS = "nothing", "kstats -v", "kstats exits"
THROUGH_BCC = " --loader bcc"
STARTS, START = "starts", "kstats -v 0.01 1"
ONE = "one"

Ways = Mapping[str, float]
"""Instructions an exit, by way of running the vCPUs (bench/inside.py)."""


@attrs.frozen
class Figures:
    """What was measured in a host: by tool the ways, or why it was not measured.

    ``starts`` are the instructions of whole commands.
    """

    found: Mapping[str, Ways]
    failures: Mapping[str, str]
    starts: Mapping[str, float]

    def added(self, tool: str, way: str = ONE) -> float | None:
        """What ``tool`` adds to an exit; None if that is not known."""
        beside, alone = (self.found.get(name, {}).get(way) for name in (tool, NOTHING))
        return None if beside is None or alone is None else beside - alone


def measure(recipe: Recipe) -> Figures:
    """Boots the host and runs everything there."""
    found: dict[str, Ways] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        shared = _payload(recipe, Path(scratch, "payload"))
        try:
            with boot(recipe, payload=shared) as host:
                tools = host.run(_INSIDE).check().stdout.splitlines()
                for what, words in {STARTS: [STARTS], **{t: [_EXITS, t] for t in tools}}.items():
                    say(f"{recipe.name}: {what}")
                    try:
                        said = host.run([*_INSIDE, *words], timeout=_TIMEOUT).check()
                        found[what] = json.loads(said.stdout)
                    except (CommandError, CommandTimeoutError) as error:
                        failures[what] = str(error)
        except HostLostError as error:
            failures["the host"] = str(error)
    starts = found.pop(STARTS, {})
    return Figures(found, failures, starts)


def _payload(recipe: Recipe, shared: Path) -> Path:
    """What the host is given: kstats, and what measures it."""
    shutil.copytree(payload(), shared)
    for script in ("inside.py", "kvmexit.py"):
        shutil.copy(HERE / script, shared)
    compiler = COMPILERS[recipe.arch]
    subprocess.run([compiler, *_FLAGS, HERE / "exits.c", "-o", shared / "exits"], check=True)
    return shared


def table(recipe: Recipe, figures: Figures) -> Table:
    """Everything that was measured in a host."""
    alone = figures.found.get(NOTHING, {ONE: 0.0})
    rows: list[tuple[Cell, ...]] = [(NOTHING, *alone.values())] if NOTHING in figures.found else []
    rows += [
        (tool, *(figures.added(tool, way) for way in alone))
        for tool in figures.found
        if tool != NOTHING
    ]
    title = f"{recipe.name}: instructions of an exit and the entry after it, and what is added"
    failures = [f"{tool}: {why}" for tool, why in figures.failures.items()]
    held = list(budgets(recipe, figures))
    return Table(title, ("tool", *map(_title, alone)), rows, failures, held)


def starts(recipe: Recipe, figures: Figures) -> Table:
    """What whole commands took in a host."""
    rows = [(command, f"{used / 1e6:.0f}") for command, used in figures.starts.items()]
    title = f"{recipe.name}: commands from start to end, with their children"
    return Table(title, ("command", "M instructions"), rows)


def _title(way: str) -> str:
    vcpus, _, turn = way.partition(", ")
    return f"{vcpus} vCPU" + ("s" if vcpus != ONE else "") + (f", turn {turn}" if turn else "")


SPREAD = 10
"""Instructions by which an exit of vCPUs that share a CPU may differ from that of one alone: a
second look into the table."""

_SPREADS = {"bench-arm64": 150}
"""Where threads that switch without any tool differ by as much from run to run."""

_START_MOST = {"bench-svm": 670}
"""Millions of instructions from the start of ``kstats -v`` to the end of its only report."""

_PERCPU_MOST = {"bench-svm": 365, "bench-svm-6.12": 240}


def budgets(recipe: Recipe, figures: Figures) -> Iterator[Budget]:
    """Each budget that there is for this host."""
    spread = _SPREADS.get(recipe.name, SPREAD)
    alone = figures.added(PERCPU)
    if recipe.name in _PERCPU_MOST:
        yield Budget(recipe.name, f"{PERCPU} an exit", _PERCPU_MOST[recipe.name], alone)
    yield Budget(recipe.name, f"{THREADS} an exit", (alone or 0) + 100, figures.added(THREADS))
    for tool in figures.found:
        if tool.endswith(THROUGH_BCC):
            compiled, ours = figures.added(tool), figures.added(tool.removesuffix(THROUGH_BCC))
            yield Budget(recipe.name, f"{tool}: prebuilt", (compiled or 0) * 1.01, ours)
    if recipe.name in _START_MOST:
        used = figures.starts.get(START, float("inf")) / 1e6
        yield Budget(recipe.name, f"M instructions of {START}", _START_MOST[recipe.name], used)
    for tool in (PERCPU, THREADS):
        for way in figures.found.get(tool, ()):
            vcpus, _, turn = way.partition(", ")
            if turn and vcpus != ONE:
                most = (figures.added(tool, f"{ONE}, {turn}") or 0) + spread
                what = f"{tool}, {vcpus} vCPUs, turn {turn}"
                yield Budget(recipe.name, what, most, figures.added(tool, way))


def tables() -> Iterator[Table]:
    """Yield each host's tables; as many hosts at once as there are CPUs for them."""
    payload()  # once, for all
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        for recipe, figures in zip(BENCHES, workers.map(measure, BENCHES), strict=True):
            yield table(recipe, figures)
            yield starts(recipe, figures)
