"""Samples of VMs, and what Metrics makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from kstats.exporter.exposition import page
from kstats.exporter.metrics import Metrics
from kstats.model import Code, Exits, Place, Sample
from kstats.vms.identity import Kind, Thread, Vm
from tests.exporter.running import Values, parsed

HLT: Code = ("vmx", 12)
CPUID: Code = ("vmx", 10)
IO: Code = ("vmx", 30)


@attrs.define
class Now:
    """A clock that stands still between two steps."""

    time: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.time


@attrs.frozen
class Guest:
    """A VM with a thread for each vCPU; ``exits`` has the exits of each, by code."""

    name: str
    pid: int = 100
    exits: Mapping[Code, Sequence[int]] = attrs.field(factory=dict)
    vcpus: int = 1
    start: int = 1
    ended: bool = False
    uuid: str = ""

    @property
    def threads(self) -> dict[int, Thread]:
        """Its threads by number."""
        vm = Vm(self.pid, self.start, Kind.QEMU, self.name, 9, self.uuid)
        tids = [self.pid + 1 + vcpu for vcpu in range(self.vcpus)]
        return {
            self.pid << 32 | tid: Thread(tid, self.pid, vcpu, vm) for vcpu, tid in enumerate(tids)
        }


def sample(*guests: Guest, cpus: int = 2, **fields: Any) -> Sample:
    """Return a sample in which these guests ran; vCPU n runs on CPU n."""
    exits: dict[Code, dict[Place, Exits]] = {}
    entries = dict.fromkeys(range(cpus), 0)
    threads: dict[int, Thread] = {}
    ended: set[int] = set()
    for guest in guests:
        threads |= guest.threads
        ended |= guest.threads.keys() if guest.ended else set()
        for code, counts in guest.exits.items():
            for cpu, (thread, n) in enumerate(zip(guest.threads, counts, strict=True)):
                exits.setdefault(code, {})[Place(cpu, thread)] = Exits(n)
                entries[cpu] += n
    made = Sample(
        arch="x64",
        isa="vmx",
        time=1.7e9,
        elapsed=1.0,
        cpus=tuple(range(cpus)),
        entries=entries,
        exits=exits,
        threads=threads,
        ended=frozenset(ended),
    )
    return attrs.evolve(made, **fields)


def values(metrics: Metrics) -> Values:
    """Return the values of all metrics, as a scrape would see them."""
    return parsed(page(metrics.families(), openmetrics=False))


def series(found: Values, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by some of its labels; the others must not matter."""
    rows: dict[tuple[str, ...], float] = {}
    for (metric, pairs), value in found.items():
        if metric == name:
            key = tuple(dict(pairs)[label] for label in labels)
            assert key not in rows
            rows[key] = value
    return rows
