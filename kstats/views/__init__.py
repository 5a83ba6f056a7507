"""Views turn samples into tables. A view does not know the source of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kstats.model import Sample
    from kstats.table import Table


class View(Protocol):
    """An object that turns samples into tables."""

    def table(self, sample: Sample) -> Table:
        """Return the report on one sample."""


class RequiringView(View, Protocol):
    """A view that shows measurements that not every source provides."""

    @property
    def requires(self) -> tuple[str, ...]:
        """What samples must contain besides exits: names of Header.counted."""
