"""Rankings of VMs, reasons and details."""

from __future__ import annotations

from kstats import arch as arches
from kstats.arch.details import UNKNOWN as UNKNOWN_DETAIL
from kstats.model import Code
from kstats.report import style
from kstats.report.figures import Figure, Rank, Ranking
from kstats.report.subject import MOST_ROWS, Subject
from kstats.report.texts import rate
from kstats.report.ticks import Tick
from kstats.views.exits import UNKNOWN


class Rankings:
    """The sections with rankings."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def vm_map(self) -> Figure | None:
        """Exits of the busiest VMs over time; None with fewer than two VMs."""
        busiest = [vm for vm, n in self._subject.vm_totals().most_common(MOST_ROWS) if n]
        if len(busiest) < 2:
            return None
        rates = [self._subject.of.bins.rates(self._subject.of.by_vm.get(vm)) for vm in busiest]
        cells = {
            at: [of_vm[at] or 0.0 for of_vm in rates] for at in range(len(self._subject.of.bins))
        }
        most = max(max(row) for row in cells.values())
        names = [self._subject.vm_names[vm] for vm in busiest]
        anchor = f"{self._subject.anchor}-vm-map"
        picture = self._subject.canvas.heat(
            cells,
            names,
            most,
            style="k-ink",
            name=f"{anchor}-m",
            y=[Tick(1 - (i + 0.5) / len(names), name) for i, name in enumerate(names)],
            height=18 * len(names),
        )
        words = f"Exits per second by VM and time, of {', '.join(names)}; at most {rate(most)}."
        return Figure(anchor, "", words, picture, scale=("k-ink", rate(most)))

    @property
    def vms(self) -> Ranking | None:
        """The VMs, most exits first; None if they were not recorded."""
        totals = self._subject.vm_totals()
        if not totals:
            return None
        ranks = []
        for vm, n in sorted(totals.items(), key=lambda item: -item[1]):
            codes = self._subject.of.vm_codes[vm]
            top = tuple((code, self._subject.of.name(code)) for code, _ in codes.most_common(3))
            figures = self._subject.figures(n)
            ranks.append(
                Rank(self._subject.vm_names[vm], n, self._subject.parts(codes), figures, links=top)
            )
        return self._subject.ranking(ranks, "most frequent reasons")

    @property
    def reasons(self) -> Ranking:
        """The reasons, most frequent first."""
        ranks = [
            Rank(
                self._subject.of.name(code),
                n,
                ((style.of(self._subject.of.category(code)), n),),
                self._subject.figures(n),
                arches.reason(*code).meaning,
                code,
            )
            for code, n in self._subject.of.exits.most_common()
        ]
        return self._subject.ranking(ranks, "meaning")

    @property
    def details(self) -> Ranking | None:
        """The hottest details; None if they were not recorded."""
        counts = self._subject.of.details
        if not counts:
            return None
        ranks = [
            Rank(
                self._detail(code, detail),
                n,
                ((style.of(self._subject.of.category(code)), n),),
                self._subject.figures(n, counts.total() + self._subject.of.details_dropped),
                links=((code, self._subject.of.name(code)),),
            )
            for (code, detail), n in counts.most_common()
        ]
        return self._subject.ranking(ranks, "reason")

    @property
    def kind(self) -> str:
        """The kind of details."""
        return self._subject.of.detail

    @property
    def dropped(self) -> int:
        """Exits whose details are missing in the ranking, because there were too many."""
        return self._subject.of.details_dropped

    def _detail(self, code: Code, number: int | None) -> str:
        kind = arches.detail(code[0], self._subject.of.detail)
        if kind is None or number is None or number == UNKNOWN_DETAIL:
            return UNKNOWN
        return kind.text(number)
