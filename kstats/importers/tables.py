"""Turn the tables of other tools into samples.

A format is a function that yields the :class:`.figures.Table` in lines; everything after that is
the same for all: what the rows say about the ISA, their codes and threads, and what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from kstats.arch.base import Isa
from kstats.arch.spelling import code_of, normalize
from kstats.histogram import Histogram
from kstats.importers import figures
from kstats.importers.evidence import Clue, is_nameless
from kstats.importers.figures import Key, Row, Table
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import NO_THREAD, SampleBuilder
from kstats.importers.trace_lines import clean
from kstats.model import Sample

Parse = Callable[[Iterable[Line], Problems], Iterator[Table]]


@attrs.frozen
class Tables:
    """A format whose lines are tables.

    Attributes:
        tool: Its name in :attr:`kstats.arch.base.Spellings.doubtful`.
        parse: Yields the tables.
    """

    tool: str
    parse: Parse

    def clues(self, lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
        """Yield a clue for each row."""
        for table in self.parse(cleaned(lines), Problems()):
            for key in table.rows:
                yield figures.clue(isas, table, key)

    def read(
        self, lines: Iterable[Line], isa: Isa, problems: Problems, _interval: float | None
    ) -> Iterator[Sample]:
        """Yield one sample with the exits of all tables."""
        builder = SampleBuilder(isa)
        elapsed, read = 0.0, 0
        for table in self.parse(cleaned(lines), problems):
            if not table.is_empty:
                _Tally(table, isa, self.tool, builder, problems).add()
                elapsed += table.elapsed
                read += 1
        if read > 1:
            problems.remark(f"{read} tables were added up")
        yield builder.sample(0, elapsed)


def cleaned(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield lines without colours, quote marks and no-break spaces."""
    for line in lines:
        text = clean(line.text)
        yield line if text == line.text else attrs.evolve(line, text=text)


class _Tally:
    """Adds the rows of one table to a sample."""

    def __init__(
        self, table: Table, isa: Isa, tool: str, builder: SampleBuilder, problems: Problems
    ) -> None:
        self._table = table
        self._isa = isa
        self._doubtful = isa.spellings.doubtful.get(tool, {})
        self._not_latency = isa.spellings.times.get(tool, "")
        self._builder = builder
        self._problems = problems
        self._base = 16 if _is_hexadecimal(isa, table) else 10

    def add(self) -> None:
        """Add everything."""
        for key, row in self._table.rows.items():
            if row.count:
                self._row(key, row)
        self._builder.entries(n=self._table.entries)
        if self._table.whole is not None:
            rest = self._table.whole - sum(row.count for row in self._table.rows.values())
            self._rest(rest)

    def _row(self, key: Key, row: Row) -> None:
        code = figures.code(self._isa, key.parts, base=self._base)
        doubts = [part for part in key.parts if normalize(self._isa, part) in self._doubtful]
        if doubts:
            why = self._doubtful[normalize(self._isa, doubts[0])]
            self._builder.nameless(row.count)
            self._problems.remark(f"{doubts[0]}: {why}; the code is unknown")
        elif code is not None:
            self._builder.exits(code, row.count, key.who.cpu, self._thread(key), self._times(row))
        elif nameless := [part for part in key.parts if is_nameless(self._isa, part)]:
            self._builder.nameless(row.count)
            self._problems.remark(f"{nameless[0]}: exits without a name; the tool prints no codes")
        else:
            self._problems.add(row.line, row.count, row.lines)

    def _times(self, row: Row) -> Histogram | None:
        if row.times is not None and self._not_latency:
            self._problems.remark(f"columns with times are not used: {self._not_latency}")
            return None
        return row.times

    def _rest(self, n: int) -> None:
        if n > 0:
            self._builder.nameless(n)
            self._problems.remark("?: exits in the tool's sum that have no row of their own")

    def _thread(self, key: Key) -> int:
        who = key.who
        if who.tid or who.comm or who.vcpu is not None or who.pid:
            return self._builder.thread(who.pid, who.tid, who.comm, who.vcpu)
        return NO_THREAD


def _is_hexadecimal(isa: Isa, table: Table) -> bool:
    """Return whether the codes of a table are hexadecimal without ``0x``: one has a letter."""
    parts = [part for key in table.rows for part in key.parts]
    numbers = [figures.number(part, 16) is not None for part in parts]
    bare = [part for part in parts if not part.isdigit() and code_of(isa, part) is None]
    return bool(parts) and all(numbers) and any("x" not in part.lower() for part in bare)
