"""What ``kstats cpu`` counts on this host. It imports no other measurements: starts are quick."""

from __future__ import annotations

from collections.abc import Collection

from kstats.collector.live import Collector
from kstats.collector.percpu import PER_CPU, ExitsByCpu
from kstats.collector.target import Target
from kstats.errors import UsageError
from kstats.host import Host
from kstats.loader.process import Worker


def per_cpu(
    probe: str | None,
    cpus: Collection[int] = (),
    loader: str | None = None,
    started: Worker | None = None,
    *,
    entries: bool = True,
) -> Collector:
    """Return what counts exits, and with ``entries`` also entries, by CPU.

    ``started`` is a worker that has been started early.

    Raises:
        UsageError: The host has not all of ``cpus``.
    """
    host = Host()
    if cpus:
        possible = host.possible_cpus()
        missing = [cpu for cpu in cpus if cpu not in possible]
        if missing:
            raise UsageError(
                f"this host has no CPU {missing[0]}", f"it has {possible[0]} to {possible[-1]}"
            )
    target = Target.find(host, probe=probe, loader=loader, started=started)
    return Collector(target, PER_CPU if entries else (ExitsByCpu(),))
