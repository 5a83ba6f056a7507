"""This host as a source of ``kstats top``: it counts, and measures more when asked to."""

from __future__ import annotations

import time
from typing import Self

import attrs

from kstats import arch as arches
from kstats import costs
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.latency import Latency
from kstats.collector.live import Collector
from kstats.collector.overhead import Meter
from kstats.collector.percpu import Entries
from kstats.collector.slow_exits import SlowExits
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import VcpuTimes, asleep
from kstats.durations import duration
from kstats.errors import KstatsError, PrivilegeError, RecordingError, UnsupportedHostError
from kstats.host import Host
from kstats.model import Sample
from kstats.recording import Writer, header_of
from kstats.top.state import Effect, Screen, State, Status, advanced
from kstats.vms.helpers import HelperTimes
from kstats.vms.registry import VmRegistry

MEASURED = 10
"""Samples from one measurement of the overhead to the next: each takes 50 ms."""

LATENCY, TIME = "latency", "time"
SHORTEST, LONGEST = 0.1, 3600.0


@attrs.frozen
class Wanted:
    """What to measure.

    Attributes:
        interval: Seconds between samples.
        threshold: Exits that take more nanoseconds are slow.
        record: Where R records to.
        probe: The way to read exits; None for the best.
        loader: The way to load programs; None for the best.
    """

    interval: float
    threshold: int
    record: str
    probe: str | None = None
    loader: str | None = None


class Live:
    """Counts on this host from :meth:`start` to :meth:`close`."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._host = Host()
        self._helpers = HelperTimes(self._host)
        self._interval = wanted.interval
        self._loaded: frozenset[str] = frozenset()
        self._detail = ""
        self._collector: Collector | None = None
        self._meter: Meter | None = None
        self._writer: Writer | None = None
        self._samples = 0
        self._next = 0.0
        self._fault = ""
        self._problem: KstatsError | None = None

    @property
    def status(self) -> int:
        """The exit status: that of what prevents counting, if anything does."""
        return self._problem.status if self._problem else 0

    def start(self, state: State) -> State:
        """Load the programs; a host that cannot run VMs is shown as such.

        Raises:
            KstatsError: They cannot be loaded.
        """
        try:
            wanted = self._wanted
            self._target = Target.find(self._host, probe=wanted.probe, loader=wanted.loader)
            self._vms = VmRegistry(self._host)
        except UnsupportedHostError as error:
            self._problem = error
            hint = f"{error.hint}; " if error.hint else ""
            problem = (str(error), f"{hint}kstats demo shows a recording")
            status = attrs.evolve(state.status, source=self._host.name(), problem=problem)
            return attrs.evolve(state, status=status)
        self._replace(self._loaded, "")
        self._next = time.monotonic() + self._interval
        return attrs.evolve(state, status=self._status(state))

    def due(self, _: State) -> float | None:
        """Return the seconds until the next sample."""
        return None if self._problem else max(self._next - time.monotonic(), 0)

    def advance(self, state: State) -> State:
        """Return the state with a sample."""
        missed = max(time.monotonic() - self._next, 0) // self._interval
        self._next += (missed + 1) * self._interval
        return self._shown(state, self._sample())

    def act(self, state: State) -> State:
        """Load or unload a feature, record, or change the interval."""
        if state.effect is Effect.LOAD:
            return self._load(state, state.argument)
        if state.effect is Effect.RECORD:
            return self._record(state)
        if state.effect is Effect.DELAY:
            return self._delay(state)
        return state

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer:
            self._writer.close()
        if self._collector:
            self._collector.close()

    def _load(self, state: State, what: str) -> State:
        kind, _, detail = what.partition(" ")
        if kind == "detail":
            detail = "" if detail == "none" else detail
            last = self._replace(self._loaded, detail)
        else:
            last = self._replace(self._loaded ^ {kind}, self._detail)
        if last:
            state = self._shown(state, last)
        loaded = ", ".join(sorted(state.status.loaded)) or "exits only"
        return attrs.evolve(state, message=f"measuring {loaded}")

    def _replace(self, loaded: frozenset[str], detail: str) -> Sample | None:
        """Load a program that also measures these; return the last sample of the one before."""
        features = self._features(loaded, detail)
        fresh = Collector(self._target, features, self._vms)
        before, self._collector = self._collector, fresh
        self._loaded, self._detail = loaded, detail
        last = None
        if before:
            # Both count at the moment: the new one begins where the old one ends.
            last = self._written(before.sample())
            fresh.sample()
            before.close()
        fresh.follow()
        self._meter = self._metered(fresh)
        self._samples = 0
        if self._writer:
            self._writer.close()
            self._writer = self._new_writer()
        return last

    def _features(self, loaded: frozenset[str], detail: str) -> list[Feature]:
        features: list[Feature] = [Entries(), ExitsByThread()]
        if detail:
            features.append(Detail.find(self._target, detail))
        if LATENCY in loaded:
            features += [Latency(detail=detail), SlowExits(self._wanted.threshold)]
        if TIME in loaded:
            features.append(VcpuTimes(self._asleep))
        return features

    def _asleep(self) -> dict[int, bool]:
        threads = (thread for threads in self._vms.vms().values() for thread in threads)
        return asleep(self._host, threads)

    def _metered(self, collector: Collector) -> Meter | None:
        try:
            return Meter(collector.loaded, self._host)
        except PrivilegeError:
            return None

    def _sample(self) -> Sample:
        collector = self._collector
        if collector is None:
            raise AssertionError
        if self._meter and self._samples % MEASURED == 0:
            self._meter.measure()
        self._samples += 1
        return self._written(collector.sample())

    def _written(self, sample: Sample) -> Sample:
        if self._writer:
            try:
                self._writer.write(sample)
            except RecordingError as error:
                self._writer.close()
                self._writer = None
                self._fault = f"recording stopped: {error}"
        return sample

    def _shown(self, state: State, sample: Sample) -> State:
        if state.screen is Screen.VMS:
            state = attrs.evolve(state, helpers=self._helpers.shares(sample.threads.values()))
        if self._fault:
            state = attrs.evolve(state, message=self._fault)
            self._fault = ""
        state = attrs.evolve(state, status=self._status(state))
        return advanced(state, sample)

    def _record(self, state: State) -> State:
        if self._writer:
            writer, self._writer = self._writer, None
            writer.close()
            message = f"recorded {writer.samples} samples: {writer.name}"
        else:
            self._writer = self._new_writer()
            message = f"recording to {self._writer.name}"
        return attrs.evolve(state, status=self._status(state), message=message)

    def _new_writer(self) -> Writer:
        if self._collector is None:
            raise KstatsError("nothing is counted on this host")
        return Writer(self._wanted.record, header_of(self._collector, self._interval))

    def _delay(self, state: State) -> State:
        try:
            seconds = float(state.argument)
        except ValueError:
            seconds = 0.0
        if not SHORTEST <= seconds <= LONGEST:
            raise KstatsError(f"give {SHORTEST:g} to {LONGEST:g} seconds")
        self._interval = seconds
        self._next = time.monotonic() + seconds
        if self._writer:
            self._writer.close()
            self._writer = self._new_writer()
        return attrs.evolve(state, status=self._status(state))

    def _status(self, state: State) -> Status:
        loaded = self._loaded | ({f"{self._detail} details"} if self._detail else set())
        target = self._target
        return attrs.evolve(
            state.status,
            source=self._host.name(),
            isa=arches.isa(target.source.isa).title,
            interval=self._interval,
            overhead=self._overhead(),
            recording=self._writer.name if self._writer else "",
            loaded=frozenset(loaded),
            details=tuple(d.name for d in target.source.details),
            costs=_costs(self._wanted.threshold),
        )

    def _overhead(self) -> str:
        """Return what the last measurement found; empty before the first."""
        found = getattr(self._meter, "overhead", None)
        if found is None:
            return ""
        exits = "" if found.ns_per_exit is None else f"{found.ns_per_exit:.0f} ns/exit, "
        return (
            f"{exits}{found.cpu_share:.2f}% of the CPUs, kstats {found.process_share:.1f}% of one"
        )


def _costs(threshold: int) -> dict[str, str]:
    """Return what it costs to load each measurement, as the question before it is loaded."""
    now = costs.range_of("kstats exits")

    def text(what: str, command: str) -> str:
        return f"{what} takes {costs.range_of(command)} an exit instead of {now}. Load it? "

    return {
        LATENCY: text(f"latency, slow exits > {duration(threshold)},", "kstats exits --latency"),
        TIME: text("vCPU time", "kstats exits --time"),
    }
