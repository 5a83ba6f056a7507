"""What each tool adds to an exit, and what a start takes, in hosts that count instructions."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from bench import rivals
from bench.table import Budget, Cell, Table
from kstats.loader import c_text
from lab.hosts import CommandError, CommandTimeoutError, HostLostError, Recipe, boot
from lab.hosts.machines import Machine, Qemu
from lab.hosts.progress import say
from lab.hosts.recipes import BENCHES
from lab.payload import payload

HERE = Path(__file__).parent
COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
_INSIDE = ("python3", "/payload/inside.py")
_TIMEOUT = 1200.0
"""Seconds for a tool: a minute does, of a machine that has nothing else to do."""

NOTHING, PERCPU, THREADS = "nothing", "kstats cpu", "kstats exits"
THROUGH_BCC = " --loader bcc"
STARTS, IDLE, FACTS = "starts", "idle", "facts"
ONE = "one"

Ways = Mapping[str, float]
"""Instructions an exit, by way of running the vCPUs (bench/inside.py)."""


@attrs.frozen
class Figures:
    """What was measured in a host: by tool the ways, or why it was not measured.

    ``starts`` are the instructions and the MiB of whole commands, ``idle`` the instructions in each
    second of commands that watch while no VM runs, and ``facts`` what the host is.
    """

    found: Mapping[str, Ways]
    failures: Mapping[str, str]
    starts: Mapping[str, tuple[float, float]]
    idle: Mapping[str, float]
    facts: Mapping[str, str]

    def added(self, tool: str, way: str = ONE) -> float | None:
        """What ``tool`` adds to an exit; None if that is not known."""
        beside, alone = (self.found.get(name, {}).get(way) for name in (tool, NOTHING))
        return None if beside is None or alone is None else beside - alone


def measure(recipe: Recipe) -> Figures:
    """Boots the host and runs everything there."""
    found: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        shared = _payload(recipe, Path(scratch, "payload"))
        try:
            with boot(recipe, payload=shared) as host:
                for what in _wanted(recipe, host.run(_INSIDE).check().stdout.splitlines()):
                    say(f"{recipe.name}: {what}")
                    try:
                        said = host.run([*_INSIDE, what], timeout=_TIMEOUT).check()
                        found[what] = json.loads(said.stdout)
                    except (CommandError, CommandTimeoutError) as error:
                        failures[what] = str(error)
        except HostLostError as error:
            failures["the host"] = str(error)
    starts, idle, facts = (found.pop(what, {}) for what in (STARTS, IDLE, FACTS))
    return Figures(found, failures, starts, idle, facts)


def _wanted(recipe: Recipe, tools: Iterable[str]) -> list[str]:
    """What to measure in a host: starts in one, and both loaders where only the kernel differs."""
    wanted = [FACTS, *tools, *([STARTS, IDLE] if recipe == BENCHES[0] else [])]
    return [what for what in wanted if recipe in BENCHES[:3] or THROUGH_BCC not in what]


def _payload(recipe: Recipe, shared: Path) -> Path:
    """What the host is given: kstats, what measures it, and rivals that are scripts."""
    shutil.copytree(payload(), shared)
    shutil.copytree(rivals.folder(), shared, dirs_exist_ok=True)
    shutil.copytree(c_text.headers(), shared / "headers")
    # kvmexit includes it and needs nothing of it.
    (shared / "headers/include/linux/delay.h").touch()
    shutil.copy(HERE / "inside.py", shared)
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
    headings = ("tool", *map(_title, alone))
    return Table(title, headings, rows, failures, held, noise=_spread(recipe))


def starts(recipe: Recipe, figures: Figures) -> Table:
    """What whole commands took in a host."""
    rows = [(command, used / 1e6, mib) for command, (used, mib) in figures.starts.items()]
    title = f"{recipe.name}: commands from start to end, with their children"
    return Table(title, ("command", "M instructions", "MiB"), rows)


def idle(recipe: Recipe, figures: Figures) -> Table:
    """What watching took in a host in which no VM ran."""
    rows = [(command, used / 1e6) for command, used in figures.idle.items()]
    title = f"{recipe.name}: watching while no VM runs, every second"
    return Table(title, ("command", "M instructions a second"), rows)


def facts(recipe: Recipe, figures: Figures) -> Table:
    """What a host is."""
    versions = (rivals.folder() / "versions").read_text(encoding="utf-8").splitlines()
    rows = {
        "emulator": _emulator(recipe.machine),
        **figures.facts,
        "scripts": ", ".join(versions),
    }
    return Table(f"{recipe.name}: the host", ("what", "is"), list(rows.items()))


def _emulator(machine: Machine) -> str:
    """The version of the emulator and how it is started."""
    (program, *_) = machine.needs
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    version = said.stdout.splitlines()[0].partition(" (")[0]
    options = " ".join(machine.options) if isinstance(machine, Qemu) else ""
    return f"{version} {options}"


def _title(way: str) -> str:
    vcpus, _, turn = way.partition(", ")
    return f"{vcpus} vCPU" + ("s" if vcpus != ONE else "") + (f", turn {turn}" if turn else "")


SPREAD = 10
"""Instructions by which an exit of vCPUs that share a CPU may differ from that of one alone: a
second look into the table."""

_SPREADS = {"bench-arm64": 150}
"""Where threads that switch without any tool differ by as much from run to run."""

_START_MOST: Mapping[str, Mapping[str, float]] = {
    "bench-svm": {"kstats --version": 45, "kstats explain HLT": 150, "kstats -v 0.01 1": 490},
}
"""Millions of instructions from the start of a command to its end, after one report."""

_IDLE_MOST: Mapping[str, Mapping[str, float]] = {
    "bench-svm": {
        "kstats -v": 0.7,
        "kstats exits": 1.3,
        "kstats vcpu": 1.5,
        "kstats record -o /dev/null": 1.5,
    },
}
"""Millions of instructions in each second of a command that watches while no VM runs."""

_PERCPU_MOST = {"bench-svm": 365, "bench-svm-6.12": 240}


def _spread(recipe: Recipe) -> float:
    return _SPREADS.get(recipe.name, SPREAD)


def budgets(recipe: Recipe, figures: Figures) -> Iterator[Budget]:
    """Each budget that there is for this host."""
    spread = _spread(recipe)
    alone = figures.added(PERCPU)
    if recipe.name in _PERCPU_MOST:
        yield Budget(recipe.name, f"{PERCPU} an exit", _PERCPU_MOST[recipe.name], alone)
    yield Budget(recipe.name, f"{THREADS} an exit", (alone or 0) + 100, figures.added(THREADS))
    for tool in figures.found:
        if tool.endswith(THROUGH_BCC):
            compiled, ours = figures.added(tool), figures.added(tool.removesuffix(THROUGH_BCC))
            yield Budget(recipe.name, f"{tool}: prebuilt", (compiled or 0) * 1.01, ours)
    for command, most in _START_MOST.get(recipe.name, {}).items():
        used = figures.starts.get(command, (math.inf, 0))[0] / 1e6
        yield Budget(recipe.name, f"M instructions of {command}", most, used)
    for command, most in _IDLE_MOST.get(recipe.name, {}).items():
        used = figures.idle.get(command, math.inf) / 1e6
        yield Budget(recipe.name, f"M instructions a second of {command}, idle", most, used)
    for tool in (PERCPU, THREADS):
        for way in figures.found.get(tool, ()):
            vcpus, _, turn = way.partition(", ")
            if turn and vcpus != ONE:
                most = (figures.added(tool, f"{ONE}, {turn}") or 0) + spread
                what = f"{tool}, {vcpus} vCPUs, turn {turn}"
                yield Budget(recipe.name, what, most, figures.added(tool, way))


def tables(recipe: Recipe) -> Iterator[Table]:
    """Yield the tables of a host."""
    figures = measure(recipe)
    yield table(recipe, figures)
    if figures.starts:
        yield starts(recipe, figures)
        yield idle(recipe, figures)
    yield facts(recipe, figures)
