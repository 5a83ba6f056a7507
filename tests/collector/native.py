"""An architecture that loads on every kernel that runs the tests, and programs built for it.

The kernel's kvm_exit differs between machines. A program that runs with made-up arguments
(tests/collector/kernel.py) does not depend on that: ARM64's program also runs on x86.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from kstats import arch as arches
from kstats.arch.base import (
    OTHER,
    Arch,
    Category,
    Column,
    ExitSource,
    Isa,
    Probe,
    Reason,
    SlotRange,
)
from kstats.collector import prebuild
from kstats.collector.feature import Feature
from kstats.collector.live import Readings
from kstats.collector.percpu import PER_CPU
from kstats.collector.target import Target
from kstats.host import Host
from kstats.loader import objects, program, syscall
from kstats.loader.plan import Attachment, MapSize, Plan
from kstats.model import Sample
from tests.collector import kernel

BTF = Path("/sys/kernel/btf/vmlinux")
LOADS = BTF.exists() and b"\0bpf_rdonly_cast\0" in BTF.read_bytes()
"""Whether this machine's kernel has direct loads (Linux 6.2)."""

MACHINE = "native64"
ISA = Isa(
    name="native",
    title="Native",
    reasons={
        1: Reason(1, "ONE", "ones", Category.IO, "One", "1"),
        2: Reason(2, "TWO", "twos", Category.IO, "Two", "2"),
    },
)
SOURCE = ExitSource(
    isa="native",
    probes=tuple(Probe(f"raw{n}", "raw", f"NATIVE_RAW{n}", args=n) for n in (2, 3)),
    slots=(SlotRange(0, 8),),
)
NATIVE = Arch(
    name="native",
    title="Whatever runs here",
    machines=(MACHINE,),
    isas=(ISA,),
    columns=(Column("ones", "ones"), Column("twos", "twos"), Column(OTHER, OTHER)),
    sources=(SOURCE,),
    bpf=Path(__file__).with_name("native.c"),
)


def target(arch: Arch = NATIVE) -> Target:
    """Return this machine as a target of the architecture ``arch``."""
    (source,) = arch.sources
    return Target(Host(), arch, source, source.probes)


@attrs.frozen(eq=False)
class Bench:
    """A program that is loaded but not attached, to run by hand."""

    loaded: program.Loaded
    machine: Target

    def readings(self) -> Readings:
        """Return the readings of the program, from now on."""
        return Readings(self.machine, PER_CPU, self.loaded)

    def sample(self, calls: Iterable[Sequence[int]], cpu: int = 0) -> Sample:
        """Return what on_exit counts when it is run with each of ``calls`` on ``cpu``."""
        readings = self.readings()
        for args in calls:
            kernel.fire(self.loaded.programs["on_exit"], *args, cpu=cpu)
        return readings.sample()

    def decode(self, *args: int) -> int | None:
        """Return the code that one call is counted as; None if its ISA is not supported."""
        sample = self.sample([args])
        if sample.unsupported_isa:
            assert (sample.unsupported_isa, sample.exits) == (1, {})
            return None
        ((_, code),) = sample.exits
        return code


MEMORY = """
struct block { u64 word[512]; };
ARRAY(memory, struct block);

/* Kernel memory at a known address: its first word is its address. */
PROGRAM(locate, void *ctx)
{
	struct block *block = VALUE(memory);

	block->word[0] = (u64)block;
	return 1;
}
"""
MEMORY_SIZE = 4096


def bench(isa: str, probe: str, offsets: dict[str, int], loader: str = "prebuilt") -> Bench:
    """Load an ISA's program that reads exits by ``probe`` with these offsets.

    It is a raw tracepoint program for any probe: a classic record, too, is only memory.
    """
    machine = target_of(isa)
    return Bench(load_unattached(machine, PER_CPU, probe, offsets, loader), machine)


def target_of(isa: str) -> Target:
    """Return this machine as a target with that ISA."""
    (arch,) = (a for a in arches.arches() if a.isa(isa))
    (source,) = (s for s in arch.sources if s.isa == isa)
    return Target(Host(), arch, source, source.probes)


def load_unattached(
    machine: Target,
    features: Sequence[Feature],
    probe: str,
    offsets: Mapping[str, int],
    loader: str = "prebuilt",
) -> program.Loaded:
    """Load a target's program, read by ``probe`` at these offsets, with memory that we know."""
    plan = machine.plan(features, attach=False)
    plan = attrs.evolve(
        plan,
        text=plan.text + MEMORY,
        prebuilt=None,
        attachments=(*plan.attachments, Attachment("kvm_entry", "locate", "raw")),
        maps=(*plan.maps, MapSize("memory", 1, MEMORY_SIZE, by_address=True)),
    )
    (wanted,) = (p for p in plan.probes if p.name == probe)
    return load_as_if(plan, wanted, offsets, loader)


def load_as_if(
    plan: Plan, probe: Probe, numbers: Mapping[str, int], loader: str = "prebuilt"
) -> program.Loaded:
    """Load a program of another kernel in this one, with made-up ``numbers``, attached nowhere.

    Every function is loaded as if it were attached to kvm_exit. The prebuilt object is compiled
    unless the plan knows where it is.
    """
    with tempfile.TemporaryDirectory() as folder:
        if plan.objects is None or objects.read(plan, probe) is None:
            plan = attrs.evolve(plan, objects=Path(folder))
            if loader == "prebuilt":
                data = prebuild.compile_object(plan, probe)
                (Path(folder) / objects.name(plan, probe)).write_bytes(data)
        wire = program.wire(attrs.evolve(plan, probes=(probe,), attach=False), loader)
    wire |= {
        "probes": [runnable(probe)],
        "btf": [f for f in wire["btf"] if f.optional and f.define not in numbers],
        "btf_modules": [],
        "numbers": {**wire["numbers"], **numbers},
        "attachments": [
            one._replace(tracepoint="kvm_exit", attach="raw", args="") for one in plan.attachments
        ],
    }
    return program.finish(loader, *program.run(loader, wire))


def runnable(probe: Probe) -> Probe:
    """Return a probe of another kernel so that this one loads it, for programs not attached."""
    args = syscall.raw_tracepoint_args("kvm_exit")
    return Probe(probe.name, "raw", probe.define, args=args, direct=probe.direct)
