"""Samples become counters since the start of the exporter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import attrs

from kstats import arch as arches
from kstats.arch import Reason
from kstats.arch.base import OTHER
from kstats.arch.details import UNKNOWN as UNKNOWN_DETAIL
from kstats.arch.details import Detail
from kstats.exporter import families as f
from kstats.exporter.exposition import Family, Rows, Series
from kstats.exporter.groups import OTHERS, UNKNOWN, Group, Groups, Member, rows
from kstats.exporter.settings import Settings
from kstats.model import Code, Sample, VcpuTime
from kstats.views import details
from kstats.vms.identity import Vm

_CODE_DROPPED, _UNATTRIBUTED = "code_dropped", "unattributed"
_ALWAYS = (_CODE_DROPPED, "unsupported_isa", "missed")
_NS = "_ns"
_STATES = tuple(attrs.fields_dict(VcpuTime))

Exposed = tuple[Family, Rows]


class Metrics:
    """Counters of everything that samples contain and the settings ask for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cpus: dict[int, dict[str, Series]] = {}
        self._entries: dict[int, Series] = {}
        self._groups = Groups(settings)
        self._losses: Counter[str] = Counter(dict.fromkeys(_loss_kinds(settings), 0))
        self._reasons: dict[Code, Reason] = {}
        self._detail: Detail | None = None

    def add(self, sample: Sample, now: float) -> None:
        """Add a sample that ended ``now``, in seconds of the monotonic clock."""
        if self._settings.cpus:
            self._add_cpus(sample)
        self._add_losses(sample)
        if self._settings.vms:
            members = self._groups.update(sample, now)
            if self._settings.kernel:
                self._add_counters(sample)
            else:
                self._add_exits(sample, members)
            if self._settings.durations:
                self._add_durations(sample, members)
            if self._settings.time:
                self._add_times(sample, members)
            if self._settings.detail:
                self._add_details(sample, members, now)

    def families(self) -> Iterator[Exposed]:
        """Yield every family that the settings ask for, with its series."""
        settings = self._settings
        if settings.cpus:
            yield f.CPU_ENTRIES, list(self._entries.values())
            yield f.CPU_EXITS, [s for cpu in self._cpus.values() for s in cpu.values()]
        if settings.vms:
            for family in self._of_groups():
                yield family, rows(self._groups, family)
            if settings.detail:
                yield f.VM_DETAILS, list(self._details())
            yield f.VM_INFO, list(self._infos())
            yield f.VM_VCPUS, [f.VM_VCPUS.valued(n, name) for name, n in self._vcpus()]
            yield f.VMS, [f.VMS.valued(len(self._groups.live))]
            yield f.VMS_FOLDED, [f.VMS_FOLDED.valued(self._groups.folded)]
            yield f.NAMESAKES, [f.NAMESAKES.valued(self._groups.namesakes)]
        if self._losses:
            yield f.LOSSES, [f.LOSSES.valued(n, kind) for kind, n in self._losses.items()]

    def _of_groups(self) -> Iterator[Family]:
        """Yield the families that are counted by VM or vCPU."""
        settings = self._settings
        if settings.kernel:
            yield from (f.VM_EVENTS, f.VM_KERNEL_TIME)
            if settings.vcpus:
                yield from (f.VCPU_EVENTS, f.VCPU_KERNEL_TIME)
            return
        yield f.VM_EXITS
        if settings.vcpus:
            yield f.VCPU_EXITS
        if settings.time:
            yield f.VCPU_TIME
        if settings.durations:
            yield f.DURATIONS[settings.durations]

    def _add_cpus(self, sample: Sample) -> None:
        for cpu in sample.cpus:
            self._cpu(cpu, sample.arch)
        for cpu, n in sample.entries.items():
            self._cpu(cpu, sample.arch)
            self._entries[cpu].value += n
        for code, places in sample.exits.items():
            column = self._reason(code).column
            by_cpu: dict[int, int] = {}
            for (cpu, _, _, _), exits in places.items():
                by_cpu[cpu] = by_cpu.get(cpu, 0) + exits.count
            for cpu, n in by_cpu.items():
                if n:  # latencies without a CPU have no count
                    classes = self._cpu(cpu, sample.arch)
                    classes.get(column, classes[OTHER]).value += n
        for cpu, n in sample.code_dropped.items():
            self._cpu(cpu, sample.arch)[OTHER].value += n

    def _cpu(self, cpu: int, arch: str) -> dict[str, Series]:
        """Return the series of a CPU by class: all of them, from zero on."""
        found = self._cpus.get(cpu)
        if found is None:
            found = {column: f.CPU_EXITS.series(str(cpu), column) for column in _columns(arch)}
            self._cpus[cpu] = found
            self._entries[cpu] = f.CPU_ENTRIES.series(str(cpu))
        return found

    def _reason(self, code: Code) -> Reason:
        found = self._reasons.get(code)
        if found is None:
            found = self._reasons[code] = arches.reason(*code)
        return found

    def _add_exits(self, sample: Sample, members: Mapping[int, Member]) -> None:
        stranger = self._groups.stranger
        for code, places in sample.exits.items():
            for (_, thread, _, _), exits in places.items():
                if exits.count:
                    member = members.get(thread) or stranger(thread)
                    for series in member.exits.get(code) or self._exits_of(member, code):
                        series.value += exits.count

    def _exits_of(self, member: Member, code: Code) -> tuple[Series, ...]:
        """Return the series that count a member's exits of a code."""
        labels = self._labels(code)
        found: tuple[Series, ...] = (member.group.series(f.VM_EXITS, *labels),)
        if self._settings.vcpus:
            found += (member.group.series(f.VCPU_EXITS, member.vcpu, *labels),)
        member.exits[code] = found
        return found

    def _labels(self, code: Code) -> tuple[str, str]:
        reason = self._reason(code)
        return reason.name, str(reason.category)

    def _add_durations(self, sample: Sample, members: Mapping[int, Member]) -> None:
        by = self._settings.durations
        for code, places in sample.exits.items():
            labels = self._labels(code) if by == "reason" else self._labels(code)[1:]
            for place, exits in places.items():
                if exits.latency is not None:
                    member = members.get(place.thread) or self._groups.stranger(place.thread)
                    member.group.durations(f.DURATIONS[by], *labels).add(exits.latency)

    def _add_times(self, sample: Sample, members: Mapping[int, Member]) -> None:
        for thread, time in (sample.vcpu_time or {}).items():
            member = members.get(thread) or self._groups.stranger(thread)
            for state in _STATES:
                if (ns := getattr(time, state)) is not None:
                    series = member.times.get(state)
                    if series is None:
                        series = member.group.series(f.VCPU_TIME, member.vcpu, state)
                        member.times[state] = series
                    series.value += ns

    def _add_counters(self, sample: Sample) -> None:
        by_pid = {vm.pid: group for vm, group in self._groups.live.items()}
        for vcpu, counters in (sample.counters or {}).items():
            group = by_pid.get(vcpu.pid) or self._groups.shared(UNKNOWN)
            number = OTHERS if group.name == OTHERS else str(vcpu.vcpu)
            for name, n in counters.items():
                timed, what = name.endswith(_NS), name.removesuffix(_NS)
                group.series(f.VM_KERNEL_TIME if timed else f.VM_EVENTS, what).value += n
                if self._settings.vcpus:
                    family = f.VCPU_KERNEL_TIME if timed else f.VCPU_EVENTS
                    group.series(family, number, what).value += n

    def _add_details(self, sample: Sample, members: Mapping[int, Member], now: float) -> None:
        # By number: thousands of addresses would take long to format, and few get a series.
        kind = self._settings.detail
        found: dict[Group, Counter[int]] = defaultdict(Counter)
        for code, places in sample.exits.items():
            detail = details.carried(code, kind)
            if detail is None:
                continue
            self._detail = detail
            for (_, thread, number, _), exits in places.items():
                member = members.get(thread) or self._groups.stranger(thread)
                if number is None or sample.detail != kind:
                    number = UNKNOWN_DETAIL  # noqa: PLW2901 - dropped, or not counted
                found[member.group][number] += exits.count
        for group in self._groups:
            group.details.add(+found[group], now)

    def _add_losses(self, sample: Sample) -> None:
        counted = {
            _CODE_DROPPED: sum(sample.code_dropped.values()),
            "unsupported_isa": sample.unsupported_isa,
            "missed": sample.missed,
            "latency_dropped": sample.latency_dropped,
            "time_dropped": sample.time_dropped,
            "names_dropped": sample.names_dropped,
            **details.losses(sample, self._settings.detail or None),
        }
        if self._settings.vms:
            places = (at.items() for at in sample.exits.values())
            counted[_UNATTRIBUTED] = sum(e.count for at in places for p, e in at if not p.thread)
        for kind in self._losses:
            self._losses[kind] += counted[kind]

    def _details(self) -> Iterator[Series]:
        kind, detail = self._settings.detail, self._detail
        if detail is None:
            return
        for group in self._groups:
            for number, n in group.details.shown.items():
                yield f.VM_DETAILS.valued(n, group.name, kind, details.text(detail, number))
            if group.details.others:
                yield f.VM_DETAILS.valued(group.details.others, group.name, kind, OTHERS)

    def _infos(self) -> Iterator[Series]:
        infos = {
            (group.name, *_facts(vm)): None
            for vm, group in self._groups.live.items()
            if group.name not in (OTHERS, UNKNOWN)
        }
        return (f.VM_INFO.valued(1, *labels) for labels in infos)

    def _vcpus(self) -> Iterator[tuple[str, int]]:
        return iter(self._groups.vcpus.items())


def _facts(vm: Vm) -> tuple[str, ...]:
    """Return the labels of a VM after its name; a label without a value is empty."""
    vmid = "" if vm.vmid is None else str(vm.vmid)
    return vm.uuid, str(vm.kind), str(vm.pid), vmid, vm.pod, vm.namespace


def _columns(arch: str) -> list[str]:
    """Return the columns of an architecture; only ``other`` of one that is not installed."""
    known = next((a for a in arches.arches() if a.name == arch), None)
    return [column.key for column in known.columns] if known else [OTHER]


def _loss_kinds(settings: Settings) -> Iterator[str]:
    """Yield the kinds of losses that can occur with the settings."""
    if settings.kernel:
        return
    yield from _ALWAYS
    if settings.vms:
        yield _UNATTRIBUTED
        yield "names_dropped"
    if settings.detail:
        yield "detail_dropped"
    if settings.durations:
        yield "latency_dropped"
    if settings.time:
        yield "time_dropped"
