"""What commands count by thread on this host: options become collectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from kstats.cli import reason_option, session
from kstats.cli.exits_options import ExitsOptions
from kstats.cli.thread_options import ThreadOptions
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.handlers import Handlers
from kstats.collector.kvm_stats.source import KernelCounters
from kstats.collector.latency import Latency
from kstats.collector.live import Collector
from kstats.collector.percpu import PER_CPU, Entries
from kstats.collector.slow_exits import SlowExits
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.tracepoints import Tracepoints
from kstats.collector.vcpu_time import VcpuTimes, asleep
from kstats.errors import KstatsError, UnsupportedHostError
from kstats.exporter.feed import Feed
from kstats.exporter.settings import Settings
from kstats.filters import ThreadFilter
from kstats.host import Host
from kstats.loader.process import Worker
from kstats.views import handlers
from kstats.vms.registry import VmRegistry
from kstats.vms.select import select


@attrs.frozen
class Recorded:
    """What is measured for a recording beside what its views count; ``slower_than`` is in ns."""

    latency: bool = False
    time: bool = False
    slower_than: int | None = None
    detail: str | None = None


def recorded(measured: Recorded, probe: str | None, loader: str | None = None) -> Collector:
    """Return what counts all that the views of a recording show, and measures what is asked for."""
    from kstats.facts.reader import FactReader  # noqa: PLC0415 - few commands need it

    host = Host()
    vms = VmRegistry(host)
    target = Target.find(host, probe=probe, loader=loader)
    events = Tracepoints.kvmstat(target.arch, target.source.isa)
    features: list[Feature] = [Entries(), ExitsByThread()]
    if events.events:
        features.append(events)
    if measured.latency or measured.slower_than is not None:
        features.append(Latency(detail=measured.detail or ""))
    if measured.slower_than is not None:
        features.append(SlowExits(measured.slower_than))
    if measured.time:
        features.append(VcpuTimes(lambda: _asleep(host, vms, ThreadFilter())))
    if measured.detail is not None:
        features.append(Detail.find(target, measured.detail))
    return Collector(target, features, vms, facts=FactReader(host))


def all_threads(probe: str | None, loader: str | None = None) -> Collector:
    """Return what counts exits by CPU and thread."""
    host = Host()
    target = Target.find(host, probe=probe, loader=loader)
    return Collector(target, (ExitsByThread(),), VmRegistry(host))


def threads(selected: ThreadOptions, started: Worker | None = None) -> Collector:
    """Return what counts exits of the selected threads."""
    host = Host()
    vms = VmRegistry(host)
    wanted = threads_wanted(selected.threads, host, vms)
    target = Target.find(host, probe=selected.probe, loader=selected.loader, started=started)
    return Collector(target, (ExitsByThread(wanted),), vms)


def exits(wanted: ExitsOptions, started: Worker | None = None) -> Collector:
    """Return what counts and measures what the options of ``kstats exits`` ask for.

    ``started`` is a worker that has been started early.
    """
    host = Host()
    vms = VmRegistry(host)
    selected = threads_wanted(wanted.threads, host, vms)
    target = Target.find(host, probe=wanted.probe, loader=wanted.loader, started=started)
    if wanted.reason is not None:
        reason_option.codes(wanted.reason, [target.source.isa])
    features: list[Feature] = [ExitsByThread.sized(selected, wanted.map_entries)]
    if wanted.detail is not None:
        features.append(Detail.find(target, wanted.detail, wanted.map_entries))
    if handlers.AXIS in wanted.axes:
        features.append(Handlers(wanted.map_entries))
    features += timing(wanted, lambda: _asleep(host, vms, selected))
    return Collector(target, features, vms)


def timing(
    wanted: ExitsOptions, sleepers: Callable[[], Mapping[int, bool]] = dict
) -> list[Feature]:
    """Return what ``kstats exits`` measures besides exits.

    ``sleepers`` finds vCPUs that sleep at the start (:func:`kstats.collector.vcpu_time.asleep`).
    """
    if wanted.time:
        return [Entries(), VcpuTimes(sleepers)]
    if wanted.slower_than is not None:
        return [Entries(), Latency(), SlowExits(wanted.slower_than)]
    if wanted.latency or wanted.histogram:
        return [Entries(), Latency(by_cpu="cpu" in wanted.axes, detail=wanted.detail or "")]
    return []


def _asleep(host: Host, vms: VmRegistry, wanted: ThreadFilter) -> dict[int, bool]:
    threads = (thread for threads in vms.vms().values() for thread in threads)
    return asleep(host, (t for t in threads if wanted.allows(t.pid << 32 | t.tid)))


def vcpus(selected: ThreadOptions, *, kernel: bool) -> Collector | KernelCounters:
    """Return what counts kvmstat's columns by vCPU: BPF programs, or the ``kernel`` itself."""
    host = Host()
    vms = VmRegistry(host)
    wanted = threads_wanted(selected.threads, host, vms)
    target = Target.find(host, probe=selected.probe, loader=selected.loader)
    if target.source.isa not in target.arch.kvmstat:
        raise UnsupportedHostError(
            f"the backend {target.arch.name} does not define kvmstat's columns",
            "kstats exits shows its exits by any axes",
        )
    if kernel:
        return KernelCounters(target, wanted.pids)
    features = (ExitsByThread(wanted), Tracepoints.kvmstat(target.arch, target.source.isa))
    return Collector(target, features, vms, wanted.pids)


def exporter(
    settings: Settings,
    probe: str | None,
    loader: str | None = None,
    writes: str | None = None,
    *,
    debug: bool = False,
) -> Feed:
    """Return what counts what an exporter exports; with ``debug``, print what is loaded.

    ``writes`` is the text file that is written after each sample. The privileges that only
    attaching needs are dropped, in the calling thread.
    """
    from kstats.exporter.live import Counted, Kernel  # noqa: PLC0415 - views do not need it

    host = Host()
    target = Target.find(host, probe=probe, loader=loader)
    if settings.kernel:
        counters = KernelCounters(target)
        session.attached(counters, writes=writes, debug=debug)
        return Kernel(counters, VmRegistry(host))
    collector = _exporter_collector(settings, target, host)
    session.attached(collector, writes=writes, debug=debug)
    return Counted(collector)


def _exporter_collector(settings: Settings, target: Target, host: Host) -> Collector:
    """Return a collector with the cheapest programs for the settings."""
    if not settings.vms:
        return Collector(target, PER_CPU)
    vms = VmRegistry(host)
    features: list[Feature] = [ExitsByThread()]
    if settings.cpus:
        features.append(Entries())
    if settings.detail:
        features.append(Detail.find(target, settings.detail))
    if settings.time:
        features.append(VcpuTimes(lambda: _asleep(host, vms, ThreadFilter())))
    if settings.durations:
        features.append(Latency(detail=settings.detail or ""))
    return Collector(target, features, vms)


def threads_wanted(selected: ThreadFilter, host: Host, vms: VmRegistry) -> ThreadFilter:
    """Return the threads of this host that are selected.

    Raises:
        KstatsError: There is no such process, thread, VM or vCPU.
    """
    pids = set(selected.pids)
    named = [*((pid, "process") for pid in pids), *((tid, "thread") for tid in selected.tids)]
    for number, what in named:
        # /proc answers for every thread, though it lists only processes.
        if not host.exists(f"proc/{number}"):
            raise KstatsError(f"{what} {number} does not exist")
    if selected.vm is not None:
        pids |= {vm.pid for vm in select(vms.vms(), selected.vm)}
    if selected.vcpu is None:
        return ThreadFilter(frozenset(pids), selected.tids)
    return ThreadFilter(frozenset(pids), frozenset(_vcpu_threads(pids, selected.vcpu, vms)))


def _vcpu_threads(pids: set[int], vcpu: int, vms: VmRegistry) -> set[int]:
    """Return the threads that run a vCPU of this number: one for each VM of the processes."""
    threads = [t for ts in vms.vms().values() for t in ts if t.pid in pids]
    found = {thread.tid for thread in threads if thread.vcpu == vcpu}
    if found:
        return found
    known = ", ".join(str(t.vcpu) for t in threads if t.vcpu is not None) or "none known"
    processes = " and ".join(map(str, sorted(pids)))
    raise KstatsError(f"process {processes} has no vCPU {vcpu}", f"its vCPUs: {known}")
