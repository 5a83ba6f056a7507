"""Any view, of some reasons only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import attrs

from kstats.model import Code, Sample
from kstats.table import Table
from kstats.views import ExactingView

T = TypeVar("T")


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
                exits=self._of(sample.exits),
                latency=None if sample.latency is None else self._of(sample.latency),
                detail_latency={kind: self._of(at) for kind, at in sample.detail_latency.items()},
                slow=tuple(exit_ for exit_ in sample.slow if exit_.code in self._codes),
                code_dropped={},
            )
        )

    def _of(self, by_code: Mapping[Code, T]) -> dict[Code, T]:
        return {code: at for code, at in by_code.items() if code in self._codes}
