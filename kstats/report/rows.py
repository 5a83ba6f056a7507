"""The rows of a heat map of CPUs: in the order of the topology, several CPUs in a row if many."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise, zip_longest

from kstats.model import Sample
from kstats.topology import CpuTopology

ROWS = 256
"""At most; hosts with more CPUs have 2, 4, … CPUs in a row."""

_UNKNOWN_CPU = -1


class CpuRows:
    """Rows of CPUs: by NUMA node, socket, die, core and number. CPUs that come later come last.

    Attributes:
        cpus: The CPUs in their order.
        cpus_per_row: The number of CPUs in a row.
    """

    def __init__(self) -> None:
        """Start without CPUs."""
        self.cpus: list[int] = []
        self.cpus_per_row = 1
        self._places: dict[int, int] = {}
        self._topology: Mapping[int, CpuTopology] = {}

    def __len__(self) -> int:
        return (len(self.cpus) + self.cpus_per_row - 1) // self.cpus_per_row

    def see(self, sample: Sample) -> None:
        """Add the CPUs of a sample."""
        if sample.topology is not self._topology or len(sample.cpus) > len(self.cpus):
            self._topology = {**self._topology, **sample.topology}
            for cpu in sorted(sample.cpus, key=lambda cpu: (self._where(cpu), cpu)):
                self.place(cpu)

    def place(self, cpu: int) -> int:
        """Return the place of a CPU in the order; one that was not online has a place, too."""
        place = self._places.get(cpu)
        if place is None:
            place = self._places[cpu] = len(self.cpus)
            self.cpus.append(cpu)
        return place

    def crowded(self) -> bool:
        """Return whether there are more rows than :data:`ROWS`; then each has twice the CPUs."""
        if len(self) <= ROWS:
            return False
        self.cpus_per_row *= 2
        return True

    def rates(self, counts: Mapping[int, int], seconds: float) -> array[float]:
        """Return by row the rate of its busiest CPU; ``counts`` are by place."""
        rates = array("d", bytes(8 * len(self)))
        each = self.cpus_per_row
        for place, n in counts.items():
            row = place // each
            rates[row] = max(rates[row], n / seconds)
        return rates

    def labels(self) -> list[str]:
        """Return the CPUs of each row as a list: ``0-3,8``."""
        each = self.cpus_per_row
        return [_listed(self.cpus[i : i + each]) for i in range(0, len(self.cpus), each)]

    def nodes(self) -> list[tuple[int, int]]:
        """Return (first row, NUMA node) in the order of rows; empty if there is only one node."""
        numbers = ((place // self.cpus_per_row, self._where(cpu).node) for cpu, place in self._of())
        starts = [(next(group)[0], node) for node, group in groupby(numbers, lambda of: of[1])]
        return starts if len(starts) > 1 else []

    def _of(self) -> Iterable[tuple[int, int]]:
        return ((cpu, place) for place, cpu in enumerate(self.cpus))

    def _where(self, cpu: int) -> CpuTopology:
        return self._topology.get(cpu, CpuTopology())


def highest(one: array[float], other: array[float]) -> array[float]:
    """Return the maximum of each row; the later one may have more rows."""
    return array("d", (max(pair) for pair in zip_longest(one, other, fillvalue=0.0)))


def joined(rates: array[float]) -> array[float]:
    """Return the maximum of each two neighbouring rows."""
    return highest(rates[::2], rates[1::2])


def _listed(cpus: Sequence[int]) -> str:
    ordered = sorted(cpus)
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1)]
    runs = [ordered[a:b] for a, b in zip(starts, [*starts[1:], len(ordered)], strict=True)]
    return ",".join(
        "?" if run[0] == _UNKNOWN_CPU else f"{run[0]}-{run[-1]}" if run[1:] else str(run[0])
        for run in runs
    )
