"""The recording that the sections of a chapter are about, and what several of them need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from kstats.arch.base import Category
from kstats.escape import printable
from kstats.model import Code
from kstats.report import style, texts
from kstats.report.figures import Entry, Rank, Ranking
from kstats.report.gather import Gathered
from kstats.report.pictures import Canvas
from kstats.report.texts import rate
from kstats.views.exits import OTHERS, UNKNOWN, names_of

MOST_ROWS = 25
"""Of a ranking; one more has the sum of the others."""

MOST_PICTURES = 12
"""Of latencies by reason, and of VMs' time."""

OPEN = 4
"""Pictures of a kind that are not folded."""


class Subject:
    """One recording.

    Attributes:
        of: Its data.
        anchor: The prefix of ids on the page.
        exits: The number of all exits.
        seconds: The total length of the samples.
        samples: The number of samples.
        vcpus: The mean number of vCPUs; None if it is unknown.
        vm_names: By number of a VM, safe to print.
    """

    def __init__(self, of: Gathered, anchor: str) -> None:
        """Prepare what several sections need."""
        self.of = of
        self.anchor = anchor
        self.exits = of.exits.total()
        part = of.aggregate.parts.get(None)
        self.seconds = part.seconds if part else 0.0
        self.samples = part.samples if part else 0
        self.vcpus = part.vcpu_seconds / part.seconds if part and part.vcpu_seconds else None
        names = names_of(vm for vm in of.vms if vm)
        self.vm_names = [printable(names[vm]) if vm else UNKNOWN for vm in of.vms]

    @cached_property
    def canvas(self) -> Canvas:
        """What draws; only of a recording with samples."""
        return Canvas(self.of.bins)

    def vm_totals(self) -> Counter[int]:
        """Return the exits of each VM by its number."""
        return Counter({vm: codes.total() for vm, codes in self.of.vm_codes.items()})

    def share(self, n: int) -> str:
        """Return a part of all exits in per cent."""
        return f"{100 * n / self.exits:.1f} %" if self.exits else texts.DASH

    def figures(self, n: int, whole: int | None = None) -> tuple[str, ...]:
        """Return the share, the rate and the number."""
        of = self.exits if whole is None else whole
        share = f"{100 * n / of:.1f} %" if of else texts.DASH
        return share, rate(n / self.seconds) if self.seconds else texts.DASH, f"{n:,}"

    def parts(self, codes: Mapping[Code, int]) -> tuple[tuple[str, float], ...]:
        """Return the categories of exits as parts of a bar, largest first."""
        parts: Counter[str] = Counter()
        for code, n in codes.items():
            parts[style.of(self.of.category(code))] += n
        return tuple((name, n) for name, n in parts.most_common() if n)

    def ranking(self, ranks: list[Rank], prose: str) -> Ranking:
        """Return the first rows, and one with the sum of the others."""
        shown, rest = ranks[:MOST_ROWS], ranks[MOST_ROWS:]
        if rest:
            parts: Counter[str] = Counter()
            for rank in rest:
                parts.update(dict(rank.parts))
            count = sum(rank.count for rank in rest)
            more = f"{len(rest)} more"
            shown.append(Rank(OTHERS, count, tuple(parts.most_common()), self.figures(count), more))
        most = max((rank.count for rank in shown), default=0) or 1
        return Ranking(["share", "per second", "exits"], shown, most, prose)


def categories_of(ranking: Ranking) -> list[Entry]:
    """Return the legend of the bars of a ranking."""
    used = {name for rank in ranking.ranks for name, _ in rank.parts}
    return [
        Entry(style.of(category), str(category))
        for category in Category
        if style.of(category) in used
    ]
