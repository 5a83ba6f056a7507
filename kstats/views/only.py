"""Any view, of some reasons only."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from kstats.histogram import Histogram
from kstats.model import Code, Place, Sample
from kstats.table import Table
from kstats.views import ExactingView


class Only:
    """Shows to another view only exits for some reasons."""

    def __init__(self, view: ExactingView, codes: Collection[Code]) -> None:
        """``codes`` are the exits to show."""
        self._view = view
        self._codes = frozenset(codes)

    @property
    def needs(self) -> tuple[str, ...]:
        """What the other view needs."""
        return self._view.needs

    def table(self, sample: Sample) -> Table:
        """The view's report on those exits; shares are of them."""
        return self._view.table(
            attrs.evolve(
                sample,
                exits={code: at for code, at in sample.exits.items() if code in self._codes},
                latency=self._latency(sample),
                slow=tuple(exit_ for exit_ in sample.slow if exit_.code in self._codes),
                lost={},
            )
        )

    def _latency(self, sample: Sample) -> dict[Code, Mapping[Place, Histogram]] | None:
        if sample.latency is None:
            return None
        return {code: at for code, at in sample.latency.items() if code in self._codes}
