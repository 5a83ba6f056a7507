"""kvmstat's table: a row for each vCPU, with the columns in its manual page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch.base import NUMBER_BITS
from kstats.arch.kvmstat import COLUMNS, Rule
from kstats.errors import UnsupportedHostError
from kstats.model import Sample
from kstats.table import Cell, Heading, Row, Table, Unit
from kstats.views import losses
from kstats.views.exits import UNKNOWN
from kstats.vms.identity import Thread

_NAMES = (Heading("pid", "pid"), Heading("vcpu", "vcpu"))
_SIGNS = {"exits": "|", "haltx": ":", "irqs": "|"}

HEADINGS = (
    *_NAMES,
    *(
        Heading(name, name, after=_SIGNS.get(name, ""), unit=Unit.COUNT, width=5)
        for name in COLUMNS
    ),
)
"""``pid vcpu | exits : haltx irqx irqwx iox mmiox | irqs emul eptv``."""

_NUMBERLESS = -1
"""Stands for a code without an ISA, or for an unknown number."""


@attrs.frozen
class Options:
    """The options of the view.

    Attributes:
        nonzero: Leave out vCPUs that did nothing.
        total: Add the sum of the rows shown.
        rate: Counts per second of elapsed time.
    """

    nonzero: bool = False
    total: bool = False
    rate: bool = False


class _RowKey(NamedTuple):
    """A vCPU; ``fd`` distinguishes the VMs of a process, ``tid`` vCPUs without a number."""

    pid: int = _NUMBERLESS
    fd: int = _NUMBERLESS
    vcpu: int = _NUMBERLESS
    tid: int = _NUMBERLESS

    @property
    def vm(self) -> tuple[int, int]:
        """The process and the VM."""
        return self.pid, self.fd

    def names(self, *, distinct: bool) -> list[Cell]:
        """Return the cells that identify the row; ``distinct`` adds the thread."""
        process, vcpu = (UNKNOWN if n < 0 else n for n in (self.pid, self.vcpu))
        return [process, f"{vcpu}({self.tid})" if distinct else vcpu]

    def order(self) -> tuple[bool, int, int, bool, int, int]:
        """The sort key: process, VM and number; unknown ones come last."""
        return self.pid < 0, self.pid, self.fd, self.vcpu < 0, self.vcpu, self.tid


_Rows: TypeAlias = dict[_RowKey, list[int | None]]

_NOBODY = _RowKey()


class VcpuView:
    """The table of one host.

    A vCPU without exits has a row of zeros. A vCPU that ends has its last row in the report on
    the interval in which it ended; for this, the view remembers the vCPUs of the last report.
    """

    def __init__(self, options: Options | None = None) -> None:
        """By default, show what ``kvmstat`` shows."""
        self._options = options or Options()
        self._present: set[_RowKey] = set()
        self._noted: set[str] = set()

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample, from KVM's counters if it has them.

        Raises:
            UnsupportedHostError: the sample's ISA has no rules.
        """
        isa, rules = rules_of(sample)
        rows = _kept(sample, rules)
        if sample.counters is None:
            rows = self._counted(sample, isa, rules)
        if self._options.nonzero:
            rows = {key: cells for key, cells in rows.items() if any(cells)}
        scale = 1 / sample.elapsed if self._options.rate and sample.elapsed else 1
        numberless = Counter(key.vm for key in rows if key.tid >= 0)
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if self._options.rate else "count",
            headings=HEADINGS,
            rows=tuple(
                _row(w.names(distinct=w.tid >= 0 and numberless[w.vm] > 1), rows[w], scale)
                for w in sorted(rows, key=_RowKey.order)
            ),
            key_columns=len(_NAMES),
            total=_row(["total", None], _sums(rows), scale) if self._options.total else None,
            losses=losses.counts(sample),
            notes=(
                *losses.notes(sample),
                *losses.unattributed(sample),
                *self._dashes(sample, rules),
            ),
        )

    def _counted(self, sample: Sample, isa: str, rules: Sequence[Rule]) -> _Rows:
        """Return the rows of vCPUs that are present, were present before, or have counts."""
        threads = sample.threads.items()
        here = {_runs(thread) for number, thread in threads if number not in sample.ended}
        did = _counts_of(sample, isa)
        for key in here | self._present:
            did[key]
        self._present = here
        return {key: [counts.cell(rule) for rule in rules] for key, counts in did.items()}

    def _dashes(self, sample: Sample, rules: Iterable[Rule]) -> Iterator[str]:
        """Return a note for each column that the sample lacks, only the first time."""
        for rule in rules:
            lacking = sorted(_lacking(sample, rule))
            if lacking and rule.column not in self._noted:
                self._noted.add(rule.column)
                yield f"{rule.column} is -: {' and '.join(lacking)} not counted here"


@attrs.frozen
class _Counts:
    """The counts of one vCPU: exits by code, and by label every event that was counted."""

    exits: Counter[int]
    events: Counter[str]

    def cell(self, rule: Rule) -> int | None:
        """Return the cell of a column."""
        return rule.counted(self.exits, self.events)


def _counts_of(sample: Sample, isa: str) -> defaultdict[_RowKey, _Counts]:
    """Return the counts of each vCPU that has any."""
    none = dict.fromkeys(sample.events, 0)
    did = defaultdict[_RowKey, _Counts](lambda: _Counts(Counter(), Counter(none)))
    for (of, code), places in sample.exits.items():
        for place, exits in places.items():
            number = code if of == isa else _NUMBERLESS
            did[_key_of(sample, place.thread)].exits[number] += exits.count
    for label, fired in sample.events.items():
        for place, n in fired.items():
            did[_key_of(sample, place.thread)].events[label] += n
    if sample.code_dropped:
        did[_NOBODY].exits[_NUMBERLESS] += sum(sample.code_dropped.values())
    return did


def _key_of(sample: Sample, number: int) -> _RowKey:
    """Return the vCPU of a thread; 0 means no thread."""
    if not number:
        return _NOBODY
    thread = sample.threads.get(number)
    return _runs(thread) if thread else _RowKey(number >> NUMBER_BITS)


def _runs(thread: Thread) -> _RowKey:
    fd, vcpu = (_NUMBERLESS if n is None else n for n in (thread.vm.fd, thread.vcpu))
    return _RowKey(thread.pid, fd, vcpu, thread.tid if thread.vcpu is None else _NUMBERLESS)


def _kept(sample: Sample, rules: Sequence[Rule]) -> _Rows:
    """Return the rows of KVM's counters; dashes if the VMM did not open them."""
    counters = (sample.counters or {}).items()
    return {
        _RowKey(vcpu.pid, vcpu.fd, vcpu.vcpu): [rule.look_up(grown) for rule in rules]
        for vcpu, grown in counters
    }


def _lacking(sample: Sample, rule: Rule) -> set[str]:
    """Return the events or counters of a column that are missing in the sample."""
    if sample.counters is None:
        return {event.tracepoint for event in rule.events if event.label not in sample.events}
    kept = set[str]().union(*sample.counters.values())
    return set(rule.stats) - kept if kept else set()


def _sums(rows: _Rows) -> list[int | None]:
    columns = zip(*rows.values(), strict=True) if rows else [()] * len(COLUMNS)
    known = ([n for n in column if n is not None] for column in columns)
    return [sum(numbers) if numbers else None for numbers in known]


def _row(names: Sequence[Cell], cells: Iterable[int | None], scale: float) -> Row:
    # Multiplying by the integer 1 leaves counts integers.
    return Row((*names, *(None if n is None else n * scale for n in cells)))


def rules_of(sample: Sample) -> tuple[str, tuple[Rule, ...]]:
    """Return the ISA of a sample, and the rules of kvmstat's columns on it.

    Raises:
        UnsupportedHostError: the ISA has no rules.
    """
    kvmstat = arches.find(sample.arch).kvmstat
    seen = (isa for isa, _ in sample.exits if isa in kvmstat)
    isa = sample.isa or next(seen, next(iter(kvmstat), ""))
    if isa not in kvmstat:
        raise UnsupportedHostError(f"the backend {sample.arch} has no kvmstat columns for {isa!r}")
    return isa, kvmstat[isa]
