"""Where the time of vCPUs goes."""

from __future__ import annotations

import attrs

from kstats.model import VcpuTime
from kstats.report import style, texts
from kstats.report.figures import Entry, Figure, Rank, Ranking
from kstats.report.pictures import Series
from kstats.report.subject import MOST_PICTURES, MOST_ROWS, OPEN, Subject


class States:
    """The section on vCPU time."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def ranking(self) -> Ranking | None:
        """Where the time of each VM's vCPUs went; None if it was not measured."""
        sums = self._times()
        if not sums:
            return None
        ranks = [
            Rank(
                self._subject.vm_names[vm],
                0,
                tuple((f"k-{state}", part) for state, part in shares.items()),
                tuple(
                    f"{shares[state]:.1f} %" if state in shares else texts.DASH
                    for state in style.STATES
                ),
            )
            for vm, shares in sums.items()
        ][:MOST_ROWS]
        return Ranking([*style.STATES], ranks, 100.0)

    @property
    def figures(self) -> list[Figure]:
        """The states of each VM's vCPUs over time, most exits first."""
        figures = []
        for place, vm in enumerate(list(self._times())[:MOST_PICTURES]):
            spent = self._subject.of.times.get(vm)
            shares = {at: _shares(time) for at, time in spent.items()}
            series = [
                Series(
                    state,
                    f"k-{state}",
                    [
                        shares[at].get(state, 0.0) if at in shares else None
                        for at in range(len(self._subject.of.bins))
                    ],
                )
                for state in style.STATES
            ]
            whole = self._times()[vm]
            parts = ", ".join(f"{state} {part:.1f} %" for state, part in whole.items())
            name = self._subject.vm_names[vm]
            figures.append(
                Figure(
                    f"{self._subject.anchor}-states-{vm}",
                    name,
                    f"Time of the vCPUs of {name} by state: {parts}.",
                    attrs.evolve(self._subject.canvas.stack(series, highest=100.0), height=110),
                    remark=parts,
                    folded=place >= OPEN,
                )
            )
        return figures

    @property
    def legend(self) -> list[Entry]:
        """The legend of vCPU time."""
        return [Entry(f"k-{state}", state) for state in style.STATES]

    def _times(self) -> dict[int, dict[str, float]]:
        """Return shares of time by VM and state in per cent, VMs with the most exits first."""
        exits = self._subject.vm_totals()
        sums = {
            vm: _shares(sum(self._subject.of.times.get(vm).values(), VcpuTime()))
            for vm in sorted(self._subject.of.times, key=lambda vm: -exits[vm])
        }
        return {vm: shares for vm, shares in sums.items() if shares}


def _shares(time: VcpuTime) -> dict[str, float]:
    """Return the percentages of the states that were measured."""
    known = {state: n for state, n in attrs.asdict(time).items() if n is not None}
    whole = sum(known.values())
    return (
        {state: 100 * known[state] / whole for state in style.STATES if state in known}
        if whole
        else {}
    )
