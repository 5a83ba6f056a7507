"""``kstats -v``: a row for each physical CPU, a column for each class of exits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import attrs

from kstats import arch as arches
from kstats.arch.base import OTHER, Reason
from kstats.model import Code, Sample
from kstats.table import Heading, ReasonCount, Row, Table
from kstats.views import losses

_COUNTS = (Heading("vm_entry", "vm_entry"), Heading("vm_exit", "vm_exit"))
_LEADING = (Heading("cpu", "cpu"), *_COUNTS)


@attrs.frozen
class Options:
    """What to show.

    Attributes:
        cpus: Only these CPUs; None for all.
        nonzero: Leave out CPUs without entries and exits.
        total: Add the sum of the rows shown.
        rate: Per second of time that really passed, instead of counts.
        reasons: Every reason that occurred so far, instead of the columns.
        detail: Put the reasons behind each row, for formats that can hold them.
    """

    cpus: Collection[int] | None = None
    nonzero: bool = False
    total: bool = False
    rate: bool = False
    reasons: bool = False
    detail: bool = False


class PerCpuView:
    """Turns samples of one host into tables. With ``reasons`` it remembers those that occurred."""

    def __init__(self, options: Options | None = None) -> None:
        """The default options show what ``kstats -v`` shows."""
        self._options = options or Options()
        self._seen: dict[Code, Reason] = {}

    def table(self, sample: Sample) -> Table:
        """The report on one sample. Its columns and ``other`` sum to ``vm_exit`` in every row."""
        headings, column = self._headings(sample)
        cells = self._cells(sample, column, len(headings))
        scale = 1 / sample.elapsed if self._options.rate and sample.elapsed else 1
        behind = self._reasons_by_cpu(sample)
        rows = [_row(cpu, counts, behind.get(cpu, {}), scale) for cpu, counts in cells.items()]
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="per_second" if self._options.rate else "count",
            headings=(*_LEADING, *headings),
            rows=tuple(rows),
            total=self._total(cells, behind, len(headings), scale),
            by_reason=True,
            losses=losses.counts(sample),
            notes=losses.notes(sample),
        )

    def _headings(self, sample: Sample) -> tuple[list[Heading], dict[Code, int]]:
        """The headings after the leading ones, and which of them each code counts under."""
        reasons = {code: arches.reason(*code) for code in sample.exits}
        if not self._options.reasons:
            columns = arches.find(sample.arch).columns
            index = {column.key: i for i, column in enumerate(columns)}
            place = {code: index.get(r.column, index[OTHER]) for code, r in reasons.items()}
            return [Heading(c.key, c.label, c.group) for c in columns], place
        self._seen |= reasons
        order = sorted(self._seen)
        names = [self._seen[code].name for code in order]
        # Exits whose code was lost have no reason; a last column keeps the sum right.
        headings = [Heading(name, name) for name in (*names, OTHER)]
        return headings, {code: i for i, code in enumerate(order)}

    def _cells(
        self, sample: Sample, column: Mapping[Code, int], width: int
    ) -> dict[int, list[int]]:
        """Entries, exits and the columns' counts of each CPU to show, ascending."""
        cells = {cpu: [0] * (len(_COUNTS) + width) for cpu in _all_cpus(sample)}
        for code, places in sample.exits.items():
            i = len(_COUNTS) + column[code]
            for (cpu, _), n in places.items():
                cells[cpu][i] += n
        for cpu, counts in cells.items():
            counts[-1] += sample.code_dropped.get(cpu, 0)
            counts[0] = sample.entries.get(cpu, 0)
            counts[1] = sum(counts[len(_COUNTS) :])
        return {cpu: counts for cpu, counts in cells.items() if self._shows(cpu, counts)}

    def _shows(self, cpu: int, counts: list[int]) -> bool:
        wanted = self._options.cpus is None or cpu in self._options.cpus
        return wanted and (any(counts[: len(_COUNTS)]) or not self._options.nonzero)

    def _reasons_by_cpu(self, sample: Sample) -> dict[int, dict[Code, int]]:
        """The counts behind each row, where they are asked for."""
        behind: dict[int, dict[Code, int]] = {}
        for code in sorted(sample.exits) if self._options.detail else ():
            for (cpu, _), n in sample.exits[code].items():
                counts = behind.setdefault(cpu, {})
                counts[code] = counts.get(code, 0) + n
        return behind

    def _total(
        self,
        cells: Mapping[int, list[int]],
        behind: Mapping[int, Mapping[Code, int]],
        width: int,
        scale: float,
    ) -> Row | None:
        if not self._options.total:
            return None
        sums = [sum(column) for column in zip(*cells.values(), strict=True)]
        codes: Counter[Code] = Counter()
        for cpu in cells:
            codes.update(behind.get(cpu, {}))
        empty = [0] * (len(_COUNTS) + width)
        return _row("total", sums or empty, dict(sorted(codes.items())), scale)


def _all_cpus(sample: Sample) -> list[int]:
    """The CPUs online at the end, and those that went away but counted before."""
    counted = {cpu for places in sample.exits.values() for cpu, _ in places}
    return sorted(counted.union(sample.cpus, sample.entries, sample.code_dropped))


def _row(name: int | str, counts: list[int], behind: Mapping[Code, int], scale: float) -> Row:
    # Multiplying by the integer 1 leaves counts integers.
    reasons = tuple(
        ReasonCount(*code, arches.reason(*code).name, n * scale) for code, n in behind.items()
    )
    return Row((name, *[n * scale for n in counts]), reasons)
