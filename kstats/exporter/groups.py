"""The series of VMs: one group for each name, with bounds on how many there are and how long."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs

from kstats.escape import printable
from kstats.exporter.details import Details
from kstats.exporter.exposition import Durations, Family, Rows, Series
from kstats.exporter.settings import Settings
from kstats.model import Code, Sample
from kstats.vms.identity import Vm

OTHERS = "(others)"
"""The name under which what has no series of its own is counted."""

UNKNOWN = "(unknown)"
"""The name of VMs whose process ended before kstats could read its name."""

UNATTRIBUTED = "(unattributed)"
"""The name under which exits without a thread are counted."""


class Group:
    """The series of the VMs of one name.

    Attributes:
        name: The value of the label ``vm``.
        details: The series of details.
        seen: When one of its VMs last ran, in seconds of the monotonic clock.
    """

    def __init__(self, name: str, top: int) -> None:
        self.name = name
        self.details = Details(top)
        self.seen = 0.0
        self._series: dict[Family, dict[tuple[str, ...], Series]] = defaultdict(dict)
        self._durations: dict[Family, dict[tuple[str, ...], Durations]] = defaultdict(dict)

    def series(self, family: Family, *labels: str) -> Series:
        """Return the series with these labels after ``vm``."""
        found = self._series[family].get(labels)
        if found is None:
            found = self._series[family][labels] = family.series(self.name, *labels)
        return found

    def durations(self, family: Family, *labels: str) -> Durations:
        """Return the histogram with these labels after ``vm``."""
        found = self._durations[family].get(labels)
        if found is None:
            found = self._durations[family][labels] = family.durations(self.name, *labels)
        return found

    def rows(self, family: Family) -> Iterable[Series | Durations]:
        """Return all series of a family."""
        of_family: Mapping[Family, Mapping[tuple[str, ...], Series | Durations]]
        of_family = self._durations if family.kind == "histogram" else self._series
        return of_family[family].values() if family in of_family else ()


@attrs.frozen(eq=False)
class Member:
    """A thread that runs a vCPU.

    Attributes:
        group: The group of its VM.
        vcpu: The value of the label ``vcpu``.
        exits: The series that its exits of a code are added to: a cache, as finding them for each
            exit of each sample would take longer than all the rest.
        times: Same for its times, by state.
    """

    group: Group
    vcpu: str
    exits: dict[Code, tuple[Series, ...]] = attrs.field(factory=dict)
    times: dict[str, Series] = attrs.field(factory=dict)


class Groups:
    """The groups of all VMs.

    At most ``max_vms`` have a group of their own; others are counted in :data:`OTHERS` until one
    of those ends. A group stays for ``keep_ended`` seconds after its last VM ended, so that its
    last counts are scraped; a VM that returns in that time continues its series.

    Attributes:
        live: The VMs that run, and their group.
        vcpus: The number of their vCPUs by the name of the group.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._groups: dict[str, Group] = {}
        self._shared: dict[str, Group] = {}
        self._members: dict[int, Member] = {}
        self.live: dict[Vm, Group] = {}
        self.vcpus: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Group]:
        yield from self._groups.values()
        yield from self._shared.values()

    def update(self, sample: Sample, now: float) -> Mapping[int, Member]:
        """Return the members by thread; drop the groups of VMs that ended long ago."""
        found = self._of({thread.vm for thread in sample.threads.values()}, now)
        before, self._members = self._members, {}
        self.live, self.vcpus = {}, Counter()
        for number, thread in sample.threads.items():
            group = found[thread.vm]
            vcpu = UNKNOWN if thread.vcpu is None else str(thread.vcpu)
            self._members[number] = self._member(before.get(number), group, vcpu)
            if number not in sample.ended:
                self.live[thread.vm] = group
                self.vcpus[group.name] += 1
        return self._members

    def stranger(self, thread: int) -> Member:
        """Return the member for a thread that a sample does not describe; 0 is no thread."""
        group = self.shared(UNKNOWN if thread else UNATTRIBUTED)
        member = self._members[thread] = self._member(self._members.get(thread), group, UNKNOWN)
        return member

    @staticmethod
    def _member(before: Member | None, group: Group, vcpu: str) -> Member:
        if group.name == OTHERS:
            vcpu = OTHERS
        if before and before.group is group and before.vcpu == vcpu:
            return before
        return Member(group, vcpu)

    def shared(self, name: str) -> Group:
        """Return a group that is not that of a single VM."""
        if name not in self._shared:
            self._shared[name] = Group(name, self._settings.top)
        return self._shared[name]

    @property
    def folded(self) -> int:
        """The number of live VMs in :data:`OTHERS`."""
        return sum(group.name == OTHERS for group in self.live.values())

    @property
    def namesakes(self) -> int:
        """The number of live VMs whose name is that of another one."""
        shared = Counter(group.name for group in self.live.values() if group.name != OTHERS)
        return sum(n for n in shared.values() if n > 1)

    def _of(self, vms: Iterable[Vm], now: float) -> dict[Vm, Group]:
        """Return the group of each VM of a sample. Those that have one come first."""
        names = {vm: label(vm.name, self._settings.max_name) for vm in vms}
        for name in names.values():
            if name in self._groups:
                self._groups[name].seen = now
        self._drop(now - self._settings.keep_ended)
        return {vm: self._named(names[vm], now) for vm in sorted(names, key=_age)}

    def _named(self, name: str, now: float) -> Group:
        if not name:
            return self.shared(UNKNOWN)
        if name in self._groups:
            return self._groups[name]
        if len(self._groups) >= self._settings.max_vms:
            self._drop_oldest(now)
        if len(self._groups) >= self._settings.max_vms:
            return self.shared(OTHERS)
        group = self._groups[name] = Group(name, self._settings.top)
        group.seen = now
        return group

    def _drop(self, oldest: float) -> None:
        for name in [name for name, group in self._groups.items() if group.seen < oldest]:
            del self._groups[name]

    def _drop_oldest(self, now: float) -> None:
        """Drop the group that ended first, if one did: VMs that run come before those that ran."""
        ended = [group for group in self._groups.values() if group.seen < now]
        if ended:
            del self._groups[min(ended, key=lambda group: group.seen).name]


def _age(vm: Vm) -> tuple[int, int, int]:
    """Return what sorts VMs by age, as far as it is known, and always in the same way."""
    return vm.start or 0, vm.pid, vm.fd or 0


def label(name: str, limit: int) -> str:
    """Return the label of a VM's name: printable, bounded, and none of ours in parentheses."""
    text = printable(name, limit)
    return f"\\x28{text[1:]}" if text.startswith("(") else text


def rows(groups: Iterable[Group], family: Family) -> Rows:
    """Return the series of a family in all groups."""
    return [row for group in groups for row in group.rows(family)]
