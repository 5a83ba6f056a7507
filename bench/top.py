"""What ``kstats top`` costs on a large host: 512 CPUs, 1,000 vCPUs, 20 reasons, every second.

Instructions are counted by callgrind, as for :mod:`bench.startup`: the cost of a refresh is
what further refreshes add. Memory is that of the process after a minute.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench import startup
from bench.table import Budget, Table

_ROOT = Path(__file__).parent.parent
_MILLION = 1_000_000

_REFRESH = """
from kstats.collector.layout import Layout
from kstats.collector.counters import Counters, Grouping
from kstats.collector.threads import ExitsByThread
from kstats.top.screen import screen
from kstats.top.state import Screen, State, advanced
from kstats.top.styled import Size
from tests.collector.readings import between
from tests.top.hosts import large_host
import attrs
host = large_host()
layout = Layout("x64", "vmx", range(512), tuple(code for _, code in host.exits))
ones = {(p.thread, c[1], p.cpu): 1 for c, at in host.exits.items() for p in at}
more = {(p.thread, c[1], p.cpu): 1 + e.count for c, at in host.exits.items() for p, e in at.items()}
grouping = Grouping()
old, new = (grouping.totals(Counters.of(n)) for n in (ones, more))
state = State(screen=Screen(%d))
for _ in range(%d):
    sample = between((ExitsByThread(), old, new), layout=layout, online=host.cpus)
    sample = attrs.evolve(sample, threads=host.threads, topology=host.topology, elapsed=1.0)
    state = advanced(state, sample)
    screen(state, Size(200, 60))
"""
"""From two readings of the kernel's tables to the lines of a screen, some times."""

_FIRST = """
import kstats.cli.top, kstats.top.painter, kstats.top.app, kstats.top.command
from kstats.top.screen import screen
from kstats.top.state import State
from kstats.top.styled import Size
screen(State(message="loading ..."), Size(200, 60))
"""

_STATUS = 'print(open("/proc/self/status").read())'

MOST_REFRESH, MOST_FIRST, MOST_MEMORY = 250, 480, 40
"""Million instructions of a refresh and until the first screen, MiB."""

VCPUS = 3
"""The screen that takes longest."""


def _refresh() -> float:
    """Return the millions of instructions that a refresh takes."""
    one, three = (startup.instructions("-c", _REFRESH % (VCPUS, times)) for times in (1, 3))
    return (three - one) / 2 / _MILLION


def _memory() -> float:
    """Return the MiB that a minute of the screen of vCPUs takes."""
    done = subprocess.run(
        [sys.executable, "-c", _REFRESH % (VCPUS, 60) + _STATUS],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
    )
    return int(done.stdout.split("VmRSS:")[1].split()[0]) / 1024


def tables() -> Iterator[Table]:
    """Yield the table."""
    first = startup.instructions("-c", _FIRST) / _MILLION
    found = (
        ("refresh of the vCPUs", "M instructions", MOST_REFRESH, _refresh()),
        ("start to the first screen", "M instructions", MOST_FIRST, first),
        ("memory after a minute", "MiB", MOST_MEMORY, _memory()),
    )
    rows = [(what, unit, f"{n:.0f}", str(most)) for what, unit, most, n in found]
    title = "kstats top: 512 CPUs, 1,000 vCPUs, 20 reasons"
    budgets = [Budget("top", f"{unit} of {what}", most, n) for what, unit, most, n in found]
    yield Table(title, ("what", "unit", "takes", "budget"), rows, budgets=budgets)
