"""kvmstat's table: a row for each vCPU, with the columns of the manual page it is known by."""

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
"""In place of a code that is none of the ISA's, or of a number that is not known."""


@attrs.frozen
class Options:
    """What to show.

    Attributes:
        nonzero: Leave out vCPUs that did nothing.
        total: Add the sum of the rows shown.
        rate: Per second of time that really passed, instead of counts.
    """

    nonzero: bool = False
    total: bool = False
    rate: bool = False


class _Whose(NamedTuple):
    """A vCPU; ``fd`` tells the VMs of one process apart."""

    pid: int = _NUMBERLESS
    fd: int = _NUMBERLESS
    vcpu: int = _NUMBERLESS

    @property
    def names(self) -> list[Cell]:
        """The cells that say whose row it is."""
        return [UNKNOWN if number < 0 else number for number in (self.pid, self.vcpu)]

    def order(self) -> tuple[bool, int, int, bool, int]:
        """By process, VM and number; what is not known comes last."""
        return self.pid < 0, self.pid, self.fd, self.vcpu < 0, self.vcpu


_Rows: TypeAlias = dict[_Whose, list[int | None]]

_NOBODY = _Whose()


class VcpuView:
    """Turns samples of one host into tables.

    A vCPU that does nothing has a row of zeros. One that ends has its last row in the report on
    the time in which it did; to know that, the view remembers who was there before.
    """

    def __init__(self, options: Options | None = None) -> None:
        """The default options show what ``kvmstat`` shows."""
        self._options = options or Options()
        self._present: set[_Whose] = set()
        self._told: set[str] = set()

    def table(self, sample: Sample) -> Table:
        """The report on one sample, from KVM's counters if it has them.

        Raises:
            UnsupportedHostError: the sample's ISA has no rules.
        """
        isa, rules = rules_of(sample)
        rows = _kept(sample, rules)
        if sample.counters is None:
            rows = self._counted(sample, isa, rules)
        if self._options.nonzero:
            rows = {whose: cells for whose, cells in rows.items() if any(cells)}
        scale = 1 / sample.elapsed if self._options.rate and sample.elapsed else 1
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if self._options.rate else "count",
            headings=HEADINGS,
            rows=tuple(_row(w.names, rows[w], scale) for w in sorted(rows, key=_Whose.order)),
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
        """The rows of exits and events: of who is there, was there before, or did something."""
        threads = sample.threads.items()
        here = {_runs(thread) for number, thread in threads if number not in sample.ended}
        did = _counts_of(sample, isa)
        for whose in here | self._present:
            did[whose]
        self._present = here
        return {whose: [counts.cell(rule) for rule in rules] for whose, counts in did.items()}

    def _dashes(self, sample: Sample, rules: Iterable[Rule]) -> Iterator[str]:
        """Why a column that its ISA has is not in the sample: told once."""
        for rule in rules:
            lacking = sorted(_lacking(sample, rule))
            if lacking and rule.column not in self._told:
                self._told.add(rule.column)
                yield f"{rule.column} is -: {' and '.join(lacking)} not counted here"


@attrs.frozen
class _Counts:
    """What one vCPU did: exits by code, events by label, every event that was counted."""

    exits: Counter[int]
    events: Counter[str]

    def cell(self, rule: Rule) -> int | None:
        """One column of its row."""
        return rule.count(self.exits, self.events)


def _counts_of(sample: Sample, isa: str) -> defaultdict[_Whose, _Counts]:
    """What each vCPU did that did anything."""
    none = dict.fromkeys(sample.events, 0)
    did = defaultdict[_Whose, _Counts](lambda: _Counts(Counter(), Counter(none)))
    for (of, code), places in sample.exits.items():
        for place, exits in places.items():
            number = code if of == isa else _NUMBERLESS
            did[_whose(sample, place.thread)].exits[number] += exits.count
    for label, fired in sample.events.items():
        for place, n in fired.items():
            did[_whose(sample, place.thread)].events[label] += n
    if sample.code_dropped:
        did[_NOBODY].exits[_NUMBERLESS] += sum(sample.code_dropped.values())
    return did


def _whose(sample: Sample, number: int) -> _Whose:
    """Whose counts are those of a thread; 0 is no thread."""
    if not number:
        return _NOBODY
    thread = sample.threads.get(number)
    return _runs(thread) if thread else _Whose(number >> NUMBER_BITS)


def _runs(thread: Thread) -> _Whose:
    fd, vcpu = (_NUMBERLESS if n is None else n for n in (thread.vm.fd, thread.vcpu))
    return _Whose(thread.pid, fd, vcpu)


def _kept(sample: Sample, rules: Sequence[Rule]) -> _Rows:
    """The rows of KVM's counters; dashes where the VMM keeps them to itself."""
    counters = (sample.counters or {}).items()
    return {
        _Whose(vcpu.pid, vcpu.fd, vcpu.vcpu): [rule.look_up(grown) for rule in rules]
        for vcpu, grown in counters
    }


def _lacking(sample: Sample, rule: Rule) -> set[str]:
    """What a column is made of and was not counted, or is not kept."""
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
    """The ISA that a sample is of, and what kvmstat's columns are there.

    Raises:
        UnsupportedHostError: its backend has none.
    """
    kvmstat = arches.find(sample.arch).kvmstat
    seen = (isa for isa, _ in sample.exits if isa in kvmstat)
    isa = sample.isa or next(seen, next(iter(kvmstat), ""))
    if isa not in kvmstat:
        raise UnsupportedHostError(f"the backend {sample.arch} has no kvmstat columns for {isa!r}")
    return isa, kvmstat[isa]
