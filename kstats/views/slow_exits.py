"""``kstats exits --slower-than``: slow exits, one per row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from kstats.model import Sample, SlowExit
from kstats.table import Heading, Row, Table, Unit
from kstats.views import losses
from kstats.views.exits import Keys, headings, threads_needed

TIME = Heading("ended", "ended", left=True)
DURATION = Heading("duration_ns", "duration", unit=Unit.DURATION)


class SlowExitsView:
    """A table with a row for each slow exit."""

    def __init__(self, by: Sequence[str] = ("vm", "vcpu", "cpu", "reason")) -> None:
        """``by`` are the axes to show for each exit."""
        self._by = tuple(by)

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits."""
        return ("slow", *threads_needed(self._by))

    def table(self, sample: Sample) -> Table:
        """Return the slow exits of one sample, in the order in which they ended."""
        keys = Keys(sample, self._by)
        lost = losses.counts(sample, slow_dropped=sample.slow_dropped)
        return Table(
            timestamp=sample.timestamp,
            elapsed=sample.elapsed,
            arch=sample.arch,
            unit="count",
            headings=(TIME, *headings(self._by), DURATION),
            rows=tuple(
                Row((_moment(exit_), *keys.of(exit_.code, exit_.place), exit_.duration))
                for exit_ in sample.slow
            ),
            key_columns=1 + len(self._by),
            losses=lost,
            notes=losses.notes(sample, lost),
        )


def _moment(exit_: SlowExit) -> str:
    return datetime.fromtimestamp(exit_.time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
