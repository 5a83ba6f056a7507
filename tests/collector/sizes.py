"""How large our programs are: loaded into this machine's kernel for every ISA, attached nowhere.

.venv/bin/python -m tests.collector.sizes >tests/data/sizes.txt    records them, as root
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import attrs
from tabulate import tabulate

from kstats.arch import BUILT_IN
from kstats.arch.base import Probe
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.handlers import Handlers
from kstats.collector.latency import Latency
from kstats.collector.percpu import PER_CPU, Entries
from kstats.collector.slow_exits import SlowExits
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.tracepoints import Tracepoints
from kstats.collector.vcpu_time import VcpuTimes
from kstats.filters import ThreadFilter
from kstats.host import Host
from kstats.loader import program, syscall
from kstats.loader.plan import Plan
from tests.collector.native import LOADS, load_as_if

RECORD = Path(__file__).parent.parent / "data" / "sizes.txt"
SLOWER_THAN = 500_000


@attrs.frozen
class Size:
    """A program as the kernel sees it.

    Attributes:
        view: Which command it is for.
        isa: Whose exits it decodes.
        probe: How it finds out what an exit was.
        function: Its name.
        instructions: BPF instructions that the verifier left.
        jited: Bytes of machine code.
    """

    view: str
    isa: str
    probe: str
    function: str
    instructions: int
    jited: int


class Program(NamedTuple):
    """Something to load: a view's features, for a target's exits, which a probe reads."""

    view: str
    machine: Target
    features: Sequence[Feature]
    probe: Probe


def views(machine: Target) -> Iterator[tuple[str, Sequence[Feature]]]:
    """Yield each view and the features that it loads."""
    exits = ExitsByThread()
    both = exits, Entries()
    only_pid = ExitsByThread(ThreadFilter(pids=frozenset({1})))
    yield "kstats -v", PER_CPU
    yield "kstats exits, kvmexit", (exits,)
    yield "kstats exits --pid", (only_pid,)
    events = Tracepoints.kvmstat(machine.arch, machine.source.isa)
    timing = Latency(), SlowExits(SLOWER_THAN), VcpuTimes()
    yield "kstats record", (*both, events)
    yield "kstats record --all", (*both, events, *timing)
    yield "kstats vcpu", (exits, events)
    yield "kstats exits --by handler", (exits, Handlers())
    yield "kstats exits --latency", (*both, Latency())
    yield "kstats exits --latency --by cpu", (*both, Latency(by_cpu=True))
    yield "kstats exits --slower-than", (*both, Latency(), SlowExits(SLOWER_THAN))
    yield "kstats exits --time", (*both, VcpuTimes())
    for source in machine.source.details:
        yield f"kstats exits --detail {source.name}", (exits, Detail.find(machine, source.name))


def targets() -> Iterator[Target]:
    """This machine, as if its exits were of each ISA."""
    for arch in BUILT_IN:
        for source in arch.sources:
            yield Target(Host(), arch, source, source.probes)


def programs() -> Iterator[Program]:
    """Yield everything that can be loaded, without direct loads where this kernel has none."""
    for machine in targets():
        for view, features in views(machine):
            for probe in machine.plan(features).probes:
                if LOADS or not probe.direct:
                    yield Program(view, machine, features, probe)


def load(one: Program, loader: str) -> program.Loaded:
    """Load it with made-up offsets."""
    plan = one.machine.plan(one.features, attach=False)
    return load_as_if(plan, one.probe, made_up(plan, one.probe), loader)


def made_up(plan: Plan, probe: Probe) -> dict[str, int]:
    """Return numbers for what only a kernel with these exits knows: any that differ will do."""
    fields = dict.fromkeys((*probe.btf, *plan.btf))
    members = {field.define: 128 + 16 * n for n, field in enumerate(fields)}
    record = {field.define: 8 * n for n, field in enumerate(probe.record, start=1)}
    arguments = {a.args: 3 for a in plan.attachments if a.args}
    return members | record | arguments


def sizes(chosen: Iterable[Program], loader: str) -> Iterator[Size]:
    """Every function of these programs."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        for found in workers.map(lambda one: _sizes(one, loader), chosen):
            yield from found


def _sizes(one: Program, loader: str) -> list[Size]:
    names = one.view, one.machine.source.isa, one.probe.name
    with load(one, loader) as loaded:
        infos = {name: syscall.program_info(fd) for name, fd in loaded.programs.items()}
    return [Size(*names, name, info.instructions, info.jited_size) for name, info in infos.items()]


def text(found: Iterable[Size]) -> str:
    """Sizes as they are recorded: a line each, with headings."""
    rows = map(attrs.astuple, found)
    headings = [field.name for field in attrs.fields(Size)]
    align = ("left",) * 4 + ("right",) * 2
    return tabulate(rows, headings, "plain", colalign=align, disable_numparse=True) + "\n"


def recorded() -> Iterator[Size]:
    """Those of :func:`text` in the file."""
    _, *lines = RECORD.read_text(encoding="ascii").splitlines()
    for line in lines:
        view, isa, probe, function, instructions, jited = line.rsplit(maxsplit=5)
        yield Size(view.rstrip(), isa, probe, function, int(instructions), int(jited))


if __name__ == "__main__":
    sys.stdout.write(text(sizes(programs(), "prebuilt")))
