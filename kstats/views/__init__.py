"""Views: a sample goes in, a table comes out. A view never knows where its sample is from."""

from __future__ import annotations

from typing import Protocol

from kstats.model import Sample
from kstats.table import Table


class View(Protocol):
    """What turns samples into tables."""

    def table(self, sample: Sample) -> Table:
        """The report on one sample."""


class ExactingView(View, Protocol):
    """A view that shows what not every source counts."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What samples must have been made of, besides exits."""
