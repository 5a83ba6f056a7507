"""Limit any view to exits with some reasons."""

from __future__ import annotations

from collections.abc import Collection

from kstats.filters import filter_reasons
from kstats.model import Code, Sample
from kstats.table import Table
from kstats.views import RequiringView


class ReasonFilter:
    """Another view, limited to exits with some codes; shares are relative to these."""

    def __init__(self, view: RequiringView, codes: Collection[Code]) -> None:
        self._view = view
        self._codes = frozenset(codes)

    @property
    def requires(self) -> tuple[str, ...]:
        """What the other view requires."""
        return self._view.requires

    def table(self, sample: Sample) -> Table:
        """Return the view's table of these exits of one sample."""
        return self._view.table(filter_reasons(sample, self._codes))
