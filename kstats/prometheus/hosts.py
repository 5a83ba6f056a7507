"""Samples of the hosts that an address selects."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Self, TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.spelling import code_of
from kstats.errors import RecordingError, UnknownNameError
from kstats.model import Code, Place, Sample, count_only
from kstats.prometheus.address import Address
from kstats.prometheus.client import Client, Series
from kstats.recording.header import Clock, Header, Machine
from kstats.vms.identity import Kind, Thread, Vm

EXITS = "kvm_vm_exits_total"
ENTRIES = "kvm_cpu_entries_total"
VCPUS = "kvm_vm_vcpus"
INFO = "kstats_build_info"
LOSSES = "kstats_losses_total"
OTHERS, _FOLDED = "(others)", "(folded)"
"""The VMs beyond ``--max-vms``, and their name here, where ``(others)`` is a remainder of rows."""

UNATTRIBUTED = "(unattributed)"
"""Stands for the VM of exits without a thread."""


WINDOW = 60
"""Steps per request, so that memory does not grow with the range."""

OLDEST = 2
"""The age of a host's last scrape, in steps, up to which the host counts as there: scrapes may be
late, and one may be missing."""

MOST_VCPUS = 1 << 20
"""The limit of vCPUs of a VM, or of all that share a name."""

NO_CPU = -1

_NUMBER = re.compile(r"\d{1,5}", re.ASCII)

Target: TypeAlias = frozenset[tuple[str, str]]
"""The labels that the engine gives a host: ``instance``, ``job`` and so on."""

Key: TypeAlias = tuple[Target, tuple[str, ...]]
"""A series: its host, and the values of its own labels."""


@attrs.frozen(eq=False)
class _Metric:
    """A metric and its own labels: those that kstats gives it, not the engine."""

    name: str
    labels: tuple[str, ...]

    def key(self, series: Series) -> Key:
        own = ("__name__", *self.labels)
        target = frozenset(item for item in series.labels.items() if item[0] not in own)
        return target, tuple(series.labels.get(label, "") for label in self.labels)


_INFO = _Metric(INFO, ("version", "arch", "isa", "probe", "loader", "kernel"))
_EXITS = _Metric(EXITS, ("vm", "reason", "category"))
_VCPUS = _Metric(VCPUS, ("vm",))
_COUNTERS = (_EXITS, _Metric(ENTRIES, ("cpu",)), _Metric(LOSSES, ("kind",)))
_METRICS = (*_COUNTERS, _VCPUS)


class _Counters:
    """The increase of the counters of one metric, from step to step."""

    def __init__(self, metric: _Metric) -> None:
        self.metric = metric
        self._last: dict[Key, float] = {}

    def step(self, values: Mapping[Key, float], known: frozenset[Target]) -> dict[Key, int]:
        """Return the increase of each counter since the last step.

        A counter that shrank started again from zero. One that is new has counted from zero if
        its host was there at the last step; ``known`` has these hosts. The increase of any other
        host spans an unknown time and is left out.
        """
        found = {}
        for key, value in values.items():
            if key[0] in known:
                last = self._last.get(key, 0.0)
                found[key] = round(value - last if value >= last else value)
        self._last.update(values)
        return found


class Hosts:
    """Hosts of one ISA, as one source of samples."""

    def __init__(
        self, client: Client, address: Address, isa: Isa, infos: Mapping[Target, tuple[str, ...]]
    ) -> None:
        """``infos`` has the labels of each host's ``kstats_build_info``."""
        self._client = client
        self._address = address
        self._isa = isa
        self._infos = infos
        self._pids: dict[tuple[Target, str], int] = {}
        self._cpus: dict[tuple[Target, str], int] = {}
        self._codes: dict[str, int | None] = {}

    @classmethod
    def find(cls, client: Client, address: Address) -> Self:
        """Look up the hosts that an address selects.

        Raises:
            RecordingError: No host matches, the engine does not answer, or the hosts cannot be one
                source: they have several ISAs, or one is there twice.
        """
        length = address.end - address.start
        query = f"last_over_time({INFO}{address.match}[{length}s])"
        # An exporter that does not count yet does not know the ISA.
        known = [series for series in client.at(query, address.end) if series.labels.get("isa")]
        infos = dict(map(_INFO.key, known))
        if not infos:
            raise RecordingError(
                client.url,
                f"no host matches {address.match} in these {length} seconds",
                f"check the labels: the engine has the series {INFO} of each host",
            )
        _refuse_twins(client, infos)
        isas = sorted({info[_INFO.labels.index("isa")] for info in infos.values()})
        if len(isas) > 1:
            raise RecordingError(
                client.url,
                f"{address.match} selects hosts of several ISAs: {', '.join(isas)}",
                "give a source for each ISA, with narrower matchers",
            )
        try:
            isa = arches.isa(isas[0])
        except UnknownNameError as error:
            raise RecordingError(client.url, str(error), error.hint) from error
        return cls(client, address, isa, infos)

    @property
    def header(self) -> Header:
        """What is known about the hosts, as in a recording."""
        info = dict(zip(_INFO.labels, next(iter(self._infos.values())), strict=True))
        kernel = info["kernel"] if len(set(self._infos.values())) == 1 else ""
        return Header(
            arch=lookup.arch_of(self._isa).name,
            clock=Clock(float(self._address.start), 0.0),
            host=Machine(name=self._address.label, kernel=kernel),
            kstats=info["version"],
            interval=float(self._address.step),
            counted=("entries", "exits", "threads"),
        )

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each step in which a host was there from the beginning to the end.

        Exits are by VM. The threads of a sample are the vCPUs of each VM, without numbers.

        Raises:
            RecordingError: The engine does not answer, or it has no such step.
        """
        empty = True
        counters = [_Counters(metric) for metric in _COUNTERS]
        known: frozenset[Target] = frozenset()
        for window in self._windows():
            scraped = self._values(_INFO, window, "timestamp(%s)")
            values = {metric.name: self._values(metric, window) for metric in _METRICS}
            for time in window:
                at = {name: by_time.get(time, {}) for name, by_time in values.items()}
                # An engine repeats the last value for some minutes if it was not running.
                present = frozenset(
                    target
                    for (target, _), moment in scraped.get(time, {}).items()
                    if time - moment <= OLDEST * window.step
                )
                both = known & present
                deltas = {c.metric.name: c.step(at[c.metric.name], both) for c in counters}
                if both:
                    empty = False
                    vcpus = {key: n for key, n in at[VCPUS].items() if key[0] in both}
                    yield self._sample(time, deltas, vcpus)
                known = present
        if empty:
            raise RecordingError(
                self._client.url,
                f"{self._address.match} was not scraped twice within {self._address.step} seconds",
                "give a step longer than the scrape interval, like step=1m",
            )

    def _windows(self) -> Iterator[range]:
        step = self._address.step
        for start in range(self._address.start, self._address.end + 1, WINDOW * step):
            end = min(start + (WINDOW - 1) * step, self._address.end)
            yield range(start, end + 1, step)

    def _values(
        self, metric: _Metric, window: range, function: str = "%s"
    ) -> Mapping[int, Mapping[Key, float]]:
        """Return the values of a metric by time, then by series."""
        query = function % f"{metric.name}{self._address.match}"
        values: defaultdict[int, dict[Key, float]] = defaultdict(dict)
        for series in self._client.between(query, window[0], window[-1], window.step):
            key = metric.key(series)
            for time, value in series.values.items():
                values[time][key] = value
        return values

    def _sample(
        self, time: int, deltas: Mapping[str, Mapping[Key, int]], vcpus: Mapping[Key, float]
    ) -> Sample:
        losses: Counter[str] = Counter()
        for (_, (kind,)), n in deltas[LOSSES].items():
            losses[kind] += n
        exits: defaultdict[Code, Counter[Place]] = defaultdict(Counter)
        for (target, (vm, reason, _)), n in deltas[EXITS].items():
            code = self._code(reason)
            if code is None:
                losses["code_dropped"] += n
            else:
                thread = 0 if vm == UNATTRIBUTED else self._pid(target, vm) << 32
                exits[self._isa.name, code][Place(NO_CPU, thread)] += n
        entries = Counter[int]()
        for (target, (cpu,)), n in deltas[ENTRIES].items():
            entries[self._cpu(target, cpu)] += n
        return Sample(
            arch=lookup.arch_of(self._isa).name,
            time=float(time),
            elapsed=float(self._address.step),
            cpus=tuple(sorted(entries)),
            entries=dict(entries),
            exits={
                code: {place: count_only(n) for place, n in counts.items() if n}
                for code, counts in exits.items()
            },
            code_dropped={NO_CPU: losses["code_dropped"]} if losses["code_dropped"] else {},
            threads=dict(self._threads(vcpus)),
            isa=self._isa.name,
            unsupported_isa=losses["unsupported_isa"],
            missed=losses["missed"],
        )

    def _threads(self, vcpus: Mapping[Key, float]) -> Iterator[tuple[int, Thread]]:
        """Yield the vCPUs of each VM; the exits of all of them are at the first."""
        for (target, (name,)), many in vcpus.items():
            pid = self._pid(target, name)
            vm = Vm(pid, None, Kind.OTHER, _FOLDED if name == OTHERS else name)
            for tid in range(min(int(many), MOST_VCPUS)):
                yield pid << 32 | tid, Thread(tid, pid, None, vm)

    def _code(self, reason: str) -> int | None:
        """Return the code of a reason; None if only a newer kstats knows it."""
        if reason not in self._codes:
            code = code_of(self._isa, reason)
            self._codes[reason] = code if code is not None else _numbered(self._isa, reason)
        return self._codes[reason]

    def _pid(self, target: Target, vm: str) -> int:
        """Return a number for a VM, in place of the process ID that metrics do not have."""
        return self._pids.setdefault((target, vm), len(self._pids) + 1)

    def _cpu(self, target: Target, cpu: str) -> int:
        """Return a CPU's number; those of several hosts are consecutive."""
        if len(self._infos) == 1 and _NUMBER.fullmatch(cpu):
            return int(cpu)
        return self._cpus.setdefault((target, cpu), len(self._cpus))


def _numbered(isa: Isa, reason: str) -> int | None:
    name, _, number = reason.partition(":")
    return lookup.number(number) if name == isa.name else None


def _refuse_twins(client: Client, targets: Iterable[Target]) -> None:
    """Raise RecordingError if a host is there twice: its exits would count twice."""
    seen: dict[str, Target] = {}
    for target in targets:
        instance = dict(target).get("instance", "")
        if instance in seen:
            differing = sorted(f'{name}="{value}"' for name, value in target ^ seen[instance])
            raise RecordingError(
                client.url,
                f"instance {instance} is there more than once: {', '.join(differing)}",
                "add one of these labels to the matchers",
            )
        seen[instance] = target
