"""kvmexit's table: the columns in its manual page; the reasons of each thread, largest first."""

from __future__ import annotations

from collections.abc import Mapping

from kstats.model import Sample
from kstats.table import Heading, Row, Table
from kstats.views.exits import COUNT, ExitsView, Options

_LABELS: Mapping[str, str] = {
    "pid": "PID",
    "tid": "TID",
    "reason": "KVM_EXIT_REASON",
    "count": "COUNT",
}


class KvmexitView:
    """Exits by reason, or by process, thread and reason; for a single report."""

    def __init__(self, by: tuple[str, ...]) -> None:
        """``by`` is pid or tid or both, if any, then reason."""
        sort = COUNT.key if by == ("reason",) else "tid"
        self._exits = ExitsView(Options(by=by, sort=sort))

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample."""
        table = self._exits.table(sample)
        headings = tuple(Heading(h.key, _LABELS[h.key], left=True) for h in table.headings[:-1])
        rows = tuple(Row(row.cells[:-1]) for row in table.rows)
        return table._replace(headings=headings, rows=rows)
