"""``kstats cpu``: a row for each physical CPU, a column for each class of exits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch.base import OTHER, Arch, Reason
from kstats.errors import UsageError
from kstats.model import Code, Sample
from kstats.table import Cell, Heading, ReasonCount, Row, Table, Unit
from kstats.topology import CpuTopology
from kstats.views import losses

_Group: TypeAlias = tuple[int, ...]
"""The key of a row: a CPU, or the numbers of a node, a socket or a core."""

_GROUPS: Mapping[str, Callable[[int, CpuTopology], _Group]] = {
    "cpu": lambda cpu, _: (cpu,),
    "node": lambda _, at: (at.node,),
    "socket": lambda _, at: (at.socket,),
    # Like perf stat --per-core: a core number is unique only within its die.
    "core": lambda _, at: (at.socket, at.die, at.core),
}
"""The key of the row that a CPU belongs to, by what rows stand for."""

_COUNTS = ("vm_entry", "vm_exit")


@attrs.frozen
class Options:
    """The options of the view.

    Attributes:
        cpus: Only these CPUs; None for all.
        by: One of :data:`kstats.topology.LEVELS`; anything but ``cpu`` sums the CPUs in it.
        nonzero: Leave out rows without entries and exits.
        sort: The key of a column to sort by, largest first; empty: ascending by the first column.
        top: At most this many rows; one more has the sum of the others, if there is any.
        total: Add the sum of the rows.
        rate: Counts per second of elapsed time.
        reasons: A column for each reason that occurred so far, instead of those of the host's
            architecture.
        detail: Keep the reasons of each row, for formats that can hold them.
    """

    cpus: Collection[int] | None = None
    by: str = "cpu"
    nonzero: bool = False
    sort: str = ""
    top: int | None = None
    total: bool = False
    rate: bool = False
    reasons: bool = False
    detail: bool = False


@attrs.frozen(eq=False)
class _Counts:
    """The cells of a row after the first, and the counts by code from which they are computed."""

    cells: list[int]
    codes: Counter[Code] = attrs.field(factory=Counter)

    @classmethod
    def sum(cls, rows: Iterable[_Counts], width: int) -> _Counts:
        """Add up rows of ``width`` cells."""
        total = cls([0] * width)
        for row in rows:
            total.cells[:] = map(sum, zip(total.cells, row.cells, strict=True))
            total.codes.update(row.codes)
        return total


class PerCpuView:
    """The table of one host. With ``reasons``, columns that appeared once remain."""

    def __init__(self, options: Options | None = None) -> None:
        """By default, show what Fuchsia's ``kstats -v`` shows.

        Raises:
            UsageError: no architecture has the column to sort by.
        """
        self._options = options or Options()
        _check_sort(self._options)
        self._seen: dict[Code, Reason] = {}

    def table(self, sample: Sample) -> Table:
        """Return the report on a sample. In every row the columns after vm_exit sum to it.

        Raises:
            UsageError: the sample lacks the topology or the column to sort by.
        """
        options = self._options
        columns, index = self._columns(sample)
        headings = (
            Heading(options.by, options.by, left=options.by == "core"),
            *(_heading(name) for name in _COUNTS),
            *columns,
        )
        width = len(headings) - 1
        rows = self._rows(sample, index, width)
        ordered = self._ordered(
            rows, [heading.key for heading in headings], arches.find(sample.arch)
        )
        shown = [(_name(group), counts) for group, counts in ordered[: options.top]]
        others = _Counts.sum((counts for _, counts in ordered[len(shown) :]), width)
        if any(others.cells):
            shown.append(("(others)", others))
        scale = 1 / sample.elapsed if options.rate and sample.elapsed else 1
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if options.rate else "count",
            headings=headings,
            rows=tuple(_row(name, counts, scale) for name, counts in shown),
            total=(
                _row("total", _Counts.sum(rows.values(), width), scale) if options.total else None
            ),
            by_reason=True,
            losses=losses.counts(sample),
            notes=losses.notes(sample),
        )

    def _columns(self, sample: Sample) -> tuple[list[Heading], dict[Code, int]]:
        """Return the headings after vm_exit, and which of them each code counts under."""
        reasons = {code: arches.reason(*code) for code in sample.exits}
        if not self._options.reasons:
            columns = arches.find(sample.arch).columns
            index = {column.key: i for i, column in enumerate(columns)}
            place = {code: index.get(r.column, index[OTHER]) for code, r in reasons.items()}
            return [_heading(c.key, c.label, c.group) for c in columns], place
        self._seen |= reasons
        order = sorted(self._seen)
        # Exits with a dropped code have no reason; a last column keeps the sum right.
        headings = [_heading(name) for name in (*(self._seen[code].name for code in order), OTHER)]
        return headings, {code: i for i, code in enumerate(order)}

    def _rows(self, sample: Sample, index: Mapping[Code, int], width: int) -> dict[_Group, _Counts]:
        """Return the rows to show, ascending, before ``top`` limits them."""
        groups = self._groups(sample)
        rows = {group: _Counts([0] * width) for group in sorted(set(groups.values()), key=_order)}
        row_of = {cpu: rows[group] for cpu, group in groups.items()}
        for code, places in sample.exits.items():
            column = len(_COUNTS) + index[code]
            for place, exits in places.items():
                if place.cpu in row_of:
                    row_of[place.cpu].cells[column] += exits.count
        if self._options.detail:
            _count_codes(sample, row_of)
        for cpu, row in row_of.items():
            row.cells[-1] += sample.code_dropped.get(cpu, 0)
            row.cells[0] += sample.entries.get(cpu, 0)
        for row in rows.values():
            row.cells[1] = sum(row.cells[len(_COUNTS) :])
        if self._options.nonzero:
            return {group: row for group, row in rows.items() if any(row.cells[: len(_COUNTS)])}
        return rows

    def _groups(self, sample: Sample) -> dict[int, _Group]:
        """Return the group of each CPU to show: online at the end, or counted before that."""
        counted = {
            place.cpu
            for places in sample.exits.values()
            for place, exits in places.items()
            if exits.count  # latencies of all CPUs have none
        }
        cpus = counted.union(sample.cpus, sample.entries, sample.code_dropped)
        if self._options.cpus is not None:
            cpus &= set(self._options.cpus)
        if self._options.by != "cpu" and not sample.topology:
            raise UsageError(
                "the recording has no CPU topology", f"leave out --by {self._options.by}"
            )
        group = _GROUPS[self._options.by]
        return {cpu: group(cpu, sample.topology.get(cpu, CpuTopology())) for cpu in cpus}

    def _ordered(
        self, rows: Mapping[_Group, _Counts], keys: list[str], arch: Arch
    ) -> list[tuple[_Group, _Counts]]:
        ascending = list(rows.items())
        sort = self._options.sort or keys[0]
        if sort == keys[0]:
            return ascending
        if sort in keys:
            column = keys.index(sort) - 1
            return sorted(ascending, key=lambda row: -row[1].cells[column])
        if self._options.reasons and any(
            sort == reason.name for isa in arch.isas for reason in isa.reasons.values()
        ):
            return ascending  # it has not occurred yet
        raise UsageError(f"unknown column {sort!r}", f"columns: {', '.join(keys)}")


def _check_sort(options: Options) -> None:
    # Early, because the first report may be an hour away. Only samples know the other reasons.
    if not options.sort or options.reasons:
        return
    keys = dict.fromkeys(column.key for arch in arches.arches() for column in arch.columns)
    known = (options.by, *_COUNTS, *keys)
    if options.sort not in known:
        raise UsageError(f"unknown column {options.sort!r}", f"columns: {', '.join(known)}")


def _order(group: _Group) -> list[tuple[bool, int]]:
    return [(number < 0, number) for number in group]  # unknown ones last


def _count_codes(sample: Sample, row_of: Mapping[int, _Counts]) -> None:
    for code, places in sample.exits.items():
        for place, exits in places.items():
            if place.cpu in row_of:
                row_of[place.cpu].codes[code] += exits.count


def _heading(key: str, label: str = "", group: str = "") -> Heading:
    return Heading(key, label or key, group, unit=Unit.COUNT)


def _name(group: _Group) -> Cell:
    numbers = ["?" if number < 0 else number for number in group]
    if len(numbers) == 1:
        return numbers[0]
    # Hosts without dies do not number them; perf uses 0.
    socket, die, core = numbers
    return f"S{socket}-D{0 if die == '?' else die}-C{core}"


def _row(name: Cell, counts: _Counts, scale: float) -> Row:
    # Multiplying by the integer 1 leaves counts integers.
    reasons = tuple(
        ReasonCount(*code, arches.reason(*code).name, n * scale)
        for code, n in sorted(counts.codes.items())
    )
    return Row((name, *[n * scale for n in counts.cells]), reasons)
