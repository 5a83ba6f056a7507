"""Reads facts from time to time, and returns them as the fields of a sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Mapping
from typing import Any

import attrs

from kstats.facts.host import host_counters, host_facts
from kstats.facts.interrupts import host_interrupts, newer
from kstats.facts.model import Facts, HostFacts, VcpuFacts, VmFacts
from kstats.facts.vm import VmReader
from kstats.host import Host
from kstats.vms.identity import Thread

COUNTERS_EVERY, FACTS_EVERY = 10.0, 600.0
"""Seconds between readings in a long session. What costs most is read least."""

_ALWAYS = 2
"""Readings that are not put off, so that short sessions have counters, too."""


class FactReader:
    """Reads the facts about a host and about the VMs that it is asked for.

    What was once known stays known: some facts take privileges that are given up after the first
    reading.
    """

    def __init__(
        self,
        host: Host,
        *,
        counters_every: float = COUNTERS_EVERY,
        facts_every: float = FACTS_EVERY,
        interrupts: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Read nothing yet.

        Args:
            host: The host.
            counters_every: Seconds from one reading of counters to the next.
            facts_every: The same for facts; those of VMs and threads that are new are read at
                the next reading of counters.
            interrupts: Whether to count the host's interrupts, which takes 0.1 s on large hosts.
            clock: Return nanoseconds.
        """
        self._host = host
        self._reader = VmReader(host)
        self._counters_every = round(counters_every * 1e9)
        self._facts_every = round(facts_every * 1e9)
        self._interrupts = interrupts
        self._clock = clock
        self._readings = 0
        self._counters_at = self._facts_at = 0
        self._facts = _Known()
        self._totals = _Totals()

    def fields(self, threads: Mapping[int, Thread]) -> dict[str, Any]:
        """Return the fields of a sample in which these threads run vCPUs, by pid_tgid.

        A sample has counters if they were read for it. They count from the previous reading, so
        the first sample has no counters, and neither has a new thread.
        """
        now = self._clock()
        counted: dict[str, Any] = {}
        if self._readings < _ALWAYS or now - self._counters_at >= self._counters_every:
            self._read_facts(threads, now)
            before, self._totals = self._totals, self._count(threads)
            if self._readings:
                counted = self._totals.growth(before, now - self._counters_at)
            self._readings += 1
            self._counters_at = now
        return counted | attrs.asdict(self._facts, recurse=False)

    def _read_facts(self, threads: Mapping[int, Thread], now: int) -> None:
        """Read all facts if they are due, else those of processes and threads that are new."""
        pids = {thread.pid for thread in threads.values()}
        known = self._facts.only(pids, threads.keys())
        due = not self._readings or now - self._facts_at >= self._facts_every
        if due:
            self._facts_at = now
        vcpus: dict[int, set[int]] = {
            pid: set() for pid in pids if due or pid not in known.vm_facts
        }
        for thread in threads.values():
            if thread.pid in vcpus:
                vcpus[thread.pid].add(thread.tid)
        new = [number for number in threads if due or number not in known.vcpu_facts]
        self._facts = known.updated(
            host_facts(self._host) if due else HostFacts(),
            self._reader.vms(vcpus) if vcpus else {},
            self._reader.vcpus(new),
        )

    def _count(self, threads: Collection[int]) -> _Totals:
        scheduling = self._reader.scheduling(threads)
        return _Totals(
            host_counters(self._host).flat(),
            self._reader.counters({number >> 32 for number in threads}),
            {number: of.flat() for number, of in scheduling.items()},
            host_interrupts(self._host) if self._interrupts else {},
        )


@attrs.frozen(eq=False)
class _Known:
    """Facts as the fields of a sample."""

    host_facts: Mapping[str, Any] = attrs.field(factory=dict)
    vm_facts: Mapping[int, Mapping[str, Any]] = attrs.field(factory=dict)
    vcpu_facts: Mapping[int, Mapping[str, Any]] = attrs.field(factory=dict)

    def only(self, pids: Container[int], threads: Container[int]) -> _Known:
        """Return the facts without those about processes and threads that have ended."""
        return _Known(
            self.host_facts,
            {pid: facts for pid, facts in self.vm_facts.items() if pid in pids},
            {number: facts for number, facts in self.vcpu_facts.items() if number in threads},
        )

    def updated(
        self, host: HostFacts, vms: Mapping[int, VmFacts], vcpus: Mapping[int, VcpuFacts]
    ) -> _Known:
        """Return the facts with later ones; what is now unknown stays as it was."""
        return _Known(
            {**self.host_facts, **host.flat()},
            _updated(self.vm_facts, vms),
            _updated(self.vcpu_facts, vcpus),
        )


def _updated(
    known: Mapping[int, Mapping[str, Any]], later: Mapping[int, Facts]
) -> dict[int, Mapping[str, Any]]:
    return {**known, **{key: {**known.get(key, {}), **of.flat()} for key, of in later.items()}}


@attrs.frozen(eq=False)
class _Totals:
    """Counters since boot, and since threads started."""

    host: Mapping[str, Any] = attrs.field(factory=dict)
    vms: Mapping[int, Mapping[str, Any]] = attrs.field(factory=dict)
    threads: Mapping[int, Mapping[str, Any]] = attrs.field(factory=dict)
    interrupts: Mapping[str, Mapping[int, int]] = attrs.field(factory=dict)

    def growth(self, before: _Totals, observed: int) -> dict[str, Any]:
        """Return by how much the counters grew, as fields of a sample."""

        def grown(old: Mapping[int, Any], new: Mapping[int, Any]) -> dict[int, Any]:
            return {n: _grown(old[n], new[n], observed) for n in new.keys() & old.keys()}

        return {
            "host_counters": _grown(before.host, self.host, observed),
            "vm_counters": grown(before.vms, self.vms),
            "scheduling": grown(before.threads, self.threads),
            "interrupts": newer(before.interrupts, self.interrupts),
        }


def _grown(before: Mapping[str, int], now: Mapping[str, int], observed: int) -> dict[str, int]:
    # Idle time may go back a little; counters of a thread whose number was used again shrank.
    grown = {name: max(0, n - before[name]) for name, n in now.items() if name in before}
    return {"observed": observed} | grown
