"""The public interface: everything public is here.

What it promises is in docs/api.md, with examples. Importing it needs neither root nor bcc nor
Linux, and touches nothing on the host; only :func:`collect` does.
"""

from __future__ import annotations

import time as clocks
from collections.abc import Iterable, Iterator, Mapping
from itertools import count as numbers
from typing import TYPE_CHECKING, Literal

from kstats import arch as arches
from kstats.arch import Arch, Category, Column, Isa, Reason, reason
from kstats.errors import KstatsError, RecordingError, UnknownNameError
from kstats.escape import printable
from kstats.histogram import Histogram
from kstats.importers import decode
from kstats.model import Code, Exits, Place, Sample, VcpuTime
from kstats.recording import (
    Clock,
    Header,
    Machine,
    Recording,
    Rotation,
    Writer,
    header_of,
    merged,
    read,
)
from kstats.render import FORMATS, Renderer
from kstats.render.jsonlines import as_object
from kstats.table import Heading, ReasonCount, Row, Table
from kstats.views.exits import ExitsView
from kstats.views.exits import Options as ExitsOptions
from kstats.views.percpu import Options as PerCpuOptions
from kstats.views.percpu import PerCpuView
from kstats.vms.identity import Kind, Thread, Vm

if TYPE_CHECKING:
    from kstats.collector.live import Collector

__all__ = [
    "FORMATS",
    "Arch",
    "Category",
    "Clock",
    "Code",
    "Column",
    "Exits",
    "ExitsOptions",
    "ExitsView",
    "Header",
    "Heading",
    "Histogram",
    "Isa",
    "Kind",
    "KstatsError",
    "Machine",
    "PerCpuOptions",
    "PerCpuView",
    "Place",
    "Reason",
    "ReasonCount",
    "Recording",
    "RecordingError",
    "Renderer",
    "Rotation",
    "Row",
    "Sample",
    "Table",
    "Thread",
    "UnknownNameError",
    "VcpuTime",
    "Vm",
    "Writer",
    "as_object",
    "collect",
    "counted",
    "decode",
    "find_arch",
    "find_isa",
    "header_of",
    "merged",
    "printable",
    "read",
    "reason",
    "samples",
]


def find_arch(name: str) -> Arch:
    """Return the architecture with this name; raises UnknownNameError."""
    return arches.find(name)


def find_isa(name: str) -> Isa:
    """Return the ISA with this name; raises UnknownNameError."""
    return arches.isa(name)


def collect(
    by: Literal["cpu", "thread"] = "thread",
    *,
    pids: Iterable[int] = (),
    tids: Iterable[int] = (),
    probe: str | None = None,
    loader: str | None = None,
) -> Collector:
    """Count the exits of this host's VMs until the collector is closed.

    Use it as a context manager. Each ``sample()`` contains what was counted since the last one.

    Args:
        by: ``cpu``: exits and entries by CPU. ``thread``: exits by CPU and thread, whose VMs and
            vCPUs samples name; entries by CPU.
        pids: With ``thread``, only these processes; none means all.
        tids: With ``thread``, only these threads; none means all.
        probe: Forces one way of reading exits; ``kstats doctor`` names them.
        loader: Forces one way of loading programs: ``prebuilt`` or ``bcc``.

    Raises:
        KstatsError: It cannot count here: privileges, libbpf or KVM are missing.
    """
    from kstats.collector.live import Collector  # noqa: PLC0415 - only this touches the host
    from kstats.collector.percpu import PER_CPU, Entries  # noqa: PLC0415 - same
    from kstats.collector.target import Target  # noqa: PLC0415 - same
    from kstats.collector.threads import ExitsByThread  # noqa: PLC0415 - same
    from kstats.filters import ThreadFilter  # noqa: PLC0415 - same
    from kstats.vms.registry import VmRegistry  # noqa: PLC0415 - same

    target = Target.find(probe=probe, loader=loader)
    if by == "cpu":
        return Collector(target, PER_CPU)
    wanted = ThreadFilter(frozenset(pids), frozenset(tids))
    collector = Collector(target, (Entries(), ExitsByThread(wanted)), VmRegistry(target.host))
    collector.follow()
    return collector


def samples(
    collector: Collector, interval: float = 1.0, count: int | None = None
) -> Iterator[Sample]:
    """Yield a sample every ``interval`` seconds without drift, ``count`` times or forever."""
    start = clocks.monotonic()
    for number in numbers(1):
        clocks.sleep(max(start + number * interval - clocks.monotonic(), 0))
        yield collector.sample()
        if number == count:
            return


def counted(
    isa: str,
    exits: Mapping[int, int | Mapping[int, int]],
    *,
    entries: Mapping[int, int] | None = None,
    elapsed: float = 1.0,
    time: float | None = None,
) -> Sample:
    """Return a sample of counts from another source.

    Args:
        isa: The numbering of the codes: ``vmx``, ``svm``, ``arm64``, or another backend's.
        exits: By code, its count, or its counts by CPU. A count without a CPU is on CPU 0.
        entries: VM entries by CPU, if known.
        elapsed: Seconds in which the counts accumulated.
        time: End of the sample, seconds since the epoch; now if not given.

    Raises:
        UnknownNameError: No architecture has this ISA.
    """
    find_isa(isa)
    arch = next(arch for arch in arches.arches() if arch.isa(isa))
    placed = {
        (isa, code): {
            Place(cpu, 0): Exits(n)
            for cpu, n in (at if isinstance(at, Mapping) else {0: at}).items()
        }
        for code, at in exits.items()
    }
    cpus = {place.cpu for at in placed.values() for place in at} | (entries or {}).keys()
    return Sample(
        arch=arch.name,
        time=clocks.time() if time is None else time,
        elapsed=elapsed,
        cpus=tuple(sorted(cpus)),
        entries=entries or {},
        exits=placed,
        isa=isa,
    )
