"""What it takes to load a program, through prebuilt objects and through bcc, in turns.

The program of ARM64 reads two numbers from kvm_exit, so that it can be attached to this machine's
tracepoint, whatever this machine is. The tracepoint need not fire for this.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from bench.table import TIMED, Budget, Table
from kstats.host import Host
from kstats.loader import syscall
from kstats.loader.process import LOADERS

RUNS = 7

RATIO = 0.35
"""The most that a start may take through a prebuilt object, of what it takes through bcc.

Most of it is importing modules, which both do.
"""

PYTHONS = 4
"""The most that a start may take, of what ``python -c pass`` takes in the same environment."""

MEBIBYTES = 30
"""The most memory that a process may take at any time."""

_PATHS = (str(Path(__file__).parent.parent), sysconfig.get_path("purelib"))

_START = """
import resource, sys, time
begun, args, loader, *paths = float(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
sys.path += paths
from kstats import cli

def collect(probe, cpus, loader, started):
    import attrs
    from kstats import arch
    from kstats.collector.live import Collector
    from kstats.collector.percpu import PER_CPU
    from kstats.collector.target import Target
    from kstats.host import Host
    arm64 = arch.find("arm64")
    (source,) = arm64.sources
    probe = attrs.evolve(source.probes[0], args=args)
    target = Target(Host(), arm64, source, (probe,), loader, started)
    collector = Collector(target, PER_CPU)
    attached = time.monotonic() - begun
    own = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(attached * 1e3, own, worker, file=sys.stderr)
    return collector

class live_cpu:
    per_cpu = staticmethod(collect)

cli.live_cpu = live_cpu
cli.main(["-v", "0.01", "1", "--loader", loader])
"""
"""``kstats -v`` with another :mod:`kstats.cli.live_cpu`, for this machine's tracepoint."""


@attrs.frozen
class Start:
    """The medians of starts: milliseconds from exec to attached, and MiB at most."""

    attached: float
    own: float
    worker: float


def starts() -> tuple[float, Mapping[str, Start]]:
    """Return the median of ``python -c pass`` in milliseconds, and the starts by loader."""
    args = str(syscall.raw_tracepoint_args("kvm_exit"))
    figures: dict[str, list[tuple[float, ...]]] = {loader: [] for loader in LOADERS}
    bare: list[float] = []
    for _ in range(RUNS):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append((time.monotonic() - begun) * 1e3)
        for loader, found in figures.items():
            # Without the hooks of this environment's site, as the packages' commands run.
            python = [sys.executable, "-I", "-S", "-c", _START]
            words = [*python, str(time.monotonic()), args, loader, *_PATHS]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found.append(tuple(map(float, done.stderr.split())))
    return statistics.median(bare), {
        loader: Start(*map(statistics.median, zip(*found, strict=True)))
        for loader, found in figures.items()
    }


def tables() -> Iterator[Table]:
    """Yield the starts."""
    bare, found = starts()
    rows: list[tuple[str, int, int | None, int | None]] = [
        ("python -c pass", round(bare), None, None)
    ]
    rows += [
        (loader, round(one.attached), round(one.own), round(one.worker))
        for loader, one in found.items()
    ]
    headings = ("loader", "exec to attached or end, ms", "kstats, MiB", "loading process, MiB")
    prebuilt, bcc = found["prebuilt"], found["bcc"]
    where = Host().name()
    budgets = [
        Budget(where, "start, of that through bcc", RATIO, prebuilt.attached / bcc.attached),
        Budget(where, "start, of python -c pass", PYTHONS, prebuilt.attached / bare),
        Budget(where, "memory of kstats, of that through bcc", 1.05, prebuilt.own / bcc.own),
        Budget(where, "memory of kstats, MiB", MEBIBYTES, prebuilt.own),
        Budget(where, "memory of the loading process, MiB", MEBIBYTES, prebuilt.worker),
    ]
    title = "loading kstats cpu, medians"
    yield Table(title, headings, rows, budgets=budgets, spread=TIMED)
