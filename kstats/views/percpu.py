"""``kstats cpu``: a row for each physical CPU, a column for each class of exits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import add
from typing import TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch.base import OTHER, Arch, Reason
from kstats.counted import Sums, cpu_of
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

_NOWHERE = CpuTopology()

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
        entries: Show entries, which the sample then contains.
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
    entries: bool = True


@attrs.frozen(eq=False)
class _Counts:
    """The cells of a row after the first, and the counts by code from which they are computed."""

    cells: list[int]
    codes: dict[Code, int] = attrs.field(factory=dict)

    @classmethod
    def sum(cls, rows: Iterable[_Counts], width: int) -> _Counts:
        """Add up rows of ``width`` cells."""
        cells, codes = [0] * width, Counter[Code]()
        for row in rows:
            cells = [*map(add, cells, row.cells)]
            codes.update(row.codes)
        return cls(cells, codes)


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
        self._by_cpu = Sums(cpu_of)

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
        names = {code: arches.reason(*code).name for code in sample.exits}
        total = _Counts.sum(rows.values(), width) if options.total else None
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if options.rate else "count",
            headings=headings,
            rows=tuple(self._row(name, counts, scale, names) for name, counts in shown),
            total=self._row("total", total, scale, names) if total else None,
            by_reason=True,
            losses=losses.counts(sample),
            notes=losses.notes(sample),
        )

    def _row(self, name: Cell, counts: _Counts, scale: float, names: Mapping[Code, str]) -> Row:
        # Multiplying by the integer 1 leaves counts integers.
        entries, *others = [n * scale for n in counts.cells]
        reasons = [
            ReasonCount(*code, names[code], n * scale) for code, n in sorted(counts.codes.items())
        ]
        return Row((name, entries if self._options.entries else None, *others), tuple(reasons))

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
        order = sorted(set(groups.values()), key=_order)
        number = {group: i for i, group in enumerate(order)}
        row_of = {cpu: number[group] for cpu, group in groups.items()}
        by_code = dict(self._by_code(sample, row_of, len(order)))
        columns = [[0] * len(order) for _ in range(width)]
        for code, counts in by_code.items():
            at = len(_COUNTS) + index[code]
            columns[at] = [*map(add, columns[at], counts)]
        for cpu, row in row_of.items():
            columns[-1][row] += sample.code_dropped.get(cpu, 0)
            columns[0][row] += sample.entries.get(cpu, 0) if self._options.entries else 0
        columns[1] = [*map(sum, zip(*columns[len(_COUNTS) :], strict=True))]
        rows = {
            group: _Counts([*cells])
            for group, cells in zip(order, zip(*columns, strict=True), strict=True)
        }
        if self._options.detail:
            for code, counts in by_code.items():
                for shown, n in zip(rows.values(), counts, strict=True):
                    if n:
                        shown.codes[code] = n
        if self._options.nonzero:
            return {group: row for group, row in rows.items() if any(row.cells[: len(_COUNTS)])}
        return rows

    def _by_code(
        self, sample: Sample, row_of: Mapping[int, int], rows: int
    ) -> Iterator[tuple[Code, Sequence[int]]]:
        """Yield the counts of each code by row."""
        everywhere = [*row_of] if [*row_of.values()] == [*range(rows)] else None
        for code, exits in sample.exits.items():
            cpus, sums = self._by_cpu.of(exits)
            if cpus == everywhere:
                yield code, sums
                continue
            counts = [0] * rows
            for cpu, n in zip(cpus, sums, strict=True):
                if cpu in row_of:
                    counts[row_of[cpu]] += n
            yield code, counts

    def _groups(self, sample: Sample) -> dict[int, _Group]:
        """Return the group of each CPU to show: online at the end, or counted before that."""
        cpus = set(sample.cpus).union(sample.entries, sample.code_dropped)
        for exits in sample.exits.values():
            keys, sums = self._by_cpu.of(exits)
            if not cpus.issuperset(keys):  # latencies of all CPUs have no count
                cpus.update(cpu for cpu, n in zip(keys, sums, strict=True) if n)
        if self._options.cpus is not None:
            cpus &= set(self._options.cpus)
        if self._options.by != "cpu" and not sample.topology:
            raise UsageError(
                "the recording has no CPU topology", f"leave out --by {self._options.by}"
            )
        group = _GROUPS[self._options.by]
        return {cpu: group(cpu, sample.topology.get(cpu, _NOWHERE)) for cpu in cpus}

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
    if options.sort == "vm_entry" and not options.entries:
        raise UsageError("vm_entry is not counted", "leave out --no-entries")
    # Early, because the first report may be an hour away. Only samples know the other reasons.
    if not options.sort or options.reasons:
        return
    keys = dict.fromkeys(column.key for arch in arches.arches() for column in arch.columns)
    known = (options.by, *_COUNTS, *keys)
    if options.sort not in known:
        raise UsageError(f"unknown column {options.sort!r}", f"columns: {', '.join(known)}")


def _order(group: _Group) -> list[tuple[bool, int]]:
    return [(number < 0, number) for number in group]  # unknown ones last


@lru_cache(maxsize=256)
def _heading(key: str, label: str = "", group: str = "") -> Heading:
    return Heading(key, label or key, group, unit=Unit.COUNT)


def _name(group: _Group) -> Cell:
    numbers = ["?" if number < 0 else number for number in group]
    if len(numbers) == 1:
        return numbers[0]
    # Hosts without dies do not number them; perf uses 0.
    socket, die, core = numbers
    return f"S{socket}-D{0 if die == '?' else die}-C{core}"
