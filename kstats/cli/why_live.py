"""What ``kstats why`` measures on this host: first all VMs' exits, then what explains most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress

import attrs

from kstats import recording
from kstats.cli.session import print_errors
from kstats.cli.ticker import Ticker, deferred_signals, end_line
from kstats.collector.details import Detail
from kstats.collector.latency import Latency
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.tracepoints import Tracepoints
from kstats.collector.vcpu_time import VcpuTimes, asleep
from kstats.errors import LoadError, UsageError
from kstats.facts.reader import FactReader
from kstats.filters import ThreadFilter
from kstats.host import Host
from kstats.vms.registry import VmRegistry
from kstats.vms.select import select
from kstats.why.engine import Judge
from kstats.why.evidence import Evidence

_FIRST = 0.6
"""The part of the time that the first program takes; details share the rest."""

_KINDS = 2
"""Kinds of detail that are measured one after the other; more, if each of them gets a second."""


def measured(
    patterns: Sequence[str], seconds: float, probe: str | None, loader: str | None, *, debug: bool
) -> Evidence:
    """Return the evidence of the next seconds; ^C ends them early.

    With ``debug``, print what is loaded.

    Exits, their latency, the time of vCPUs, KVM's events and counters, and facts are measured
    first. If a rule cannot be checked without a kind of detail, another program then counts exits
    by it: only where it matters do guests pay for it.

    Raises:
        KstatsError: This host cannot be measured, or a pattern matches no VM.
    """
    host = Host()
    vms = VmRegistry(host)
    target = Target.find(host, probe=probe, loader=loader)
    pids = {vm.pid for pattern in patterns for vm in select(vms.vms(), pattern)}
    wanted = ThreadFilter(frozenset(pids))
    with ExitStack() as opened, deferred_signals():
        features = _features(target, vms, wanted)
        collector = Collector(target, features, vms, pids, FactReader(host, interrupts=True))
        first = opened.enter_context(collector)
        _begin(first, debug=debug)
        stopped = _wait(seconds * _FIRST)
        sample = first.sample()
        most = max(_KINDS, int(seconds * (1 - _FIRST)))
        kinds = [] if stopped else _kinds(Evidence.of(sample), target, most)
        if not kinds and not stopped:
            _wait(seconds * (1 - _FIRST))
            (sample,) = recording.merged((sample, first.sample()), math.inf)
        first.close()
        details, notes = [], []
        for kind in kinds:
            try:
                with Collector(target, (ExitsByThread(wanted), kind), vms, pids) as one:
                    _begin(one, debug=debug)
                    if _wait(seconds * (1 - _FIRST) / len(kinds)):
                        break
                    details.append(one.sample())
            except LoadError as error:  # what was measured before is worth showing
                notes.append(f"{kind.source.name} details were not counted: {error}")
    evidence = Evidence.of(sample, details=details)
    return attrs.evolve(evidence, notes=(*evidence.notes, *notes))


def _begin(collector: Collector, *, debug: bool) -> None:
    if debug:
        print_errors(collector.description())
    collector.follow()


def _wait(seconds: float) -> bool:
    """Wait; return whether a signal to stop came."""
    stopped = Ticker(seconds).wait()
    if stopped:
        end_line()
    return stopped


def _features(
    target: Target, vms: VmRegistry, wanted: ThreadFilter
) -> tuple[Entries | ExitsByThread | Tracepoints | Latency | VcpuTimes, ...]:
    """Return what the first program measures: that of ``kstats record --latency --time``."""

    def sleepers() -> Mapping[int, bool]:
        threads = (thread for threads in vms.vms().values() for thread in threads)
        return asleep(target.host, (t for t in threads if wanted.allows(t.pid << 32 | t.tid)))

    events = Tracepoints.kvmstat(target.arch, target.source.isa)
    counted = (events,) if events.events else ()
    return (Entries(), ExitsByThread(wanted), *counted, Latency(), VcpuTimes(sleepers))


def _kinds(evidence: Evidence, target: Target, most: int) -> list[Detail]:
    """Return the kinds of detail that rules lack, as far as this host's kernel provides them."""
    judge = Judge()
    judge.add(evidence)
    found: list[Detail] = []
    for part in judge.missing():
        kind, _, what = part.partition(" ")
        if what == "details" and len(found) < most:
            with suppress(UsageError):
                found.append(Detail.find(target, kind))
    return found
