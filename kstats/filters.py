"""Filters of samples: what is left of them for some reasons."""

from __future__ import annotations

from collections.abc import Collection

from kstats import fields
from kstats.model import Code, Sample
from kstats.table import Table
from kstats.views import ExactingView


class ReasonFilter:
    """Shows only exits of some reasons in another view; shares are of them."""

    def __init__(self, view: ExactingView, codes: Collection[Code]) -> None:
        """``codes`` are the exits to show."""
        self._view = view
        self._codes = frozenset(codes)

    @property
    def needs(self) -> tuple[str, ...]:
        """Return what the other view requires."""
        return self._view.needs

    def table(self, sample: Sample) -> Table:
        """Return the view's table of those exits of one sample."""
        of = fields.narrowed(sample, lambda means, value: means.only(value, self._codes))
        return self._view.table(of)
