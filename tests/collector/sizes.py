"""How large our programs are: loaded into this machine's kernel for every ISA, attached nowhere.

.venv/bin/python -m tests.collector.sizes >tests/data/sizes.txt    records them, as root
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import attrs
from tabulate import tabulate

from kstats import arch as arches
from kstats.arch.base import Probe
from kstats.collector.latency import Latencies
from kstats.collector.live import Counting, Target
from kstats.collector.slow_exits import SlowExits
from kstats.collector.threads import Filter
from kstats.collector.vcpu_time import Spending
from kstats.host import Host
from kstats.loader import c_text, program, syscall
from tests.collector.native import LOADS, runnable

RECORD = Path(__file__).parent.parent / "data" / "sizes.txt"
ARCHES = ("x64", "arm64")
SLOWER_THAN = 500_000


@attrs.frozen
class Size:
    """A program as the kernel sees it.

    Attributes:
        view: Which command it is for.
        isa: Whose exits it decodes.
        probe: How it finds out what an exit was.
        function: Its name.
        verified: Instructions that the verifier went through.
        jited: Bytes of machine code.
    """

    view: str
    isa: str
    probe: str
    function: str
    verified: int
    jited: int


class Program(NamedTuple):
    """Something to load: what is counted for a view, of whose exits, and how they are read."""

    view: str
    machine: Target
    counting: Counting
    probe: Probe


def countings(machine: Target) -> Iterator[tuple[str, Target, Counting]]:
    """Each view, and what it loads to where."""
    exits = machine.per_thread()
    both = exits.with_entries()
    yield "kstats -v", machine, machine.per_cpu()
    yield "kstats exits, kvmexit", machine, exits
    yield "kstats exits --pid", machine, machine.per_thread(Filter(pids=frozenset({1})))
    yield "kstats record", machine, machine.everything()
    yield "kstats vcpu", machine, machine.per_vcpu()
    yield "kstats exits --latency", machine, Latencies(both)
    yield "kstats exits --latency --by cpu", machine, Latencies(both, by_cpu=True)
    yield "kstats exits --slower-than", machine, SlowExits(Latencies(both), SLOWER_THAN)
    yield "kstats exits --time", machine, Spending(both, both)
    for source in machine.source.details:
        yield f"kstats exits --detail {source.name}", *machine.telling(source.name, exits)


def targets() -> Iterator[Target]:
    """This machine, as if its exits were of each ISA."""
    for arch in map(arches.find, ARCHES):
        for source in arch.sources:
            yield Target(Host(), arch, source, source.probes)


def programs() -> Iterator[Program]:
    """Everything that can be loaded, but for direct loads where this kernel has none."""
    for machine in targets():
        for view, target, counting in countings(machine):
            for probe in target.probes:
                if LOADS or not probe.direct:
                    yield Program(view, target, counting, probe)


def whole_text(one: Program) -> str:
    """Its C, whole."""
    machine, counting = one.machine, one.counting
    return c_text.text(machine.arch, machine.source, counting.files, counting.generated)


def load(one: Program) -> program.Loaded:
    """Loads it with offsets of no kernel, as if each of its tracepoints were kvm_exit."""
    counting, define = one.counting, one.machine.source.define
    plan = program.Plan(
        text=whole_text(one),
        defines=counting.defines | ({define: 1} if define else {}) | _offsets(one),
        probes=(runnable(one.probe),),
        btf_modules=(),
        attachments=tuple(
            program.Attachment("kvm_exit", attachment.function, "raw")
            for attachment in counting.attachments
        ),
        maps=counting.maps,
        attach=False,
    )
    return program.load(plan, c_text.headers())


def _offsets(one: Program) -> dict[str, int]:
    """What only a kernel knows that has these exits: any numbers do."""
    members = {field.define: 128 for field in (*one.probe.btf, *one.counting.btf)}
    record = {field.define: 8 * n for n, field in enumerate(one.probe.record, start=1)}
    arguments = {a.args: 3 for a in one.counting.attachments if a.args}
    return members | record | arguments


def sizes() -> Iterator[Size]:
    """Every function of every program."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        for found in workers.map(_sizes, programs()):
            yield from found


def _sizes(one: Program) -> list[Size]:
    names = one.view, one.machine.source.isa, one.probe.name
    with load(one) as loaded:
        infos = {name: syscall.program_info(fd) for name, fd in loaded.programs.items()}
    return [
        Size(*names, name, info.verified_instructions, info.jited_size)
        for name, info in infos.items()
    ]


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
        view, isa, probe, function, verified, jited = line.rsplit(maxsplit=5)
        yield Size(view.rstrip(), isa, probe, function, int(verified), int(jited))


if __name__ == "__main__":
    sys.stdout.write(text(sizes()))
