"""Drafts: samples that features fill (:mod:`kstats.collector.feature`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import attrs

from kstats.collector.layout import Layout
from kstats.counted import Counted
from kstats.model import Code, Exits, Place, Sample, count_only


@attrs.define(eq=False)
class Draft:
    """A sample that features fill.

    Attributes:
        layout: What the program counts by.
        online: The CPUs that are online.
        exits: Exits by code, then by place.
        fields: Other fields of the sample, by name.
    """

    layout: Layout
    online: tuple[int, ...]
    exits: dict[int, Mapping[Place, Exits]] = attrs.field(factory=dict)
    fields: dict[str, Any] = attrs.field(factory=dict)

    def count(self, code: int, place: Place, n: int) -> None:
        """Set the number of exits of a code at a place that no other feature fills."""
        self._places(code)[place] = count_only(n)

    def count_all(self, code: int, places: Sequence[Place], counts: Sequence[int]) -> None:
        """Do so for many places; counts may be 0. Neither sequence may be changed any more."""
        zeros = counts.count(0)
        if zeros == len(counts):
            return
        if zeros * 2 > len(counts):
            places, counts = [*compress(places, counts)], [*filter(None, counts)]
        counted = Counted(places, counts)
        if code in self.exits:
            self._places(code).update(counted)
        else:
            self.exits[code] = counted

    def add(self, code: int, place: Place, more: Exits) -> None:
        """Add exits to those of a code at a place."""
        places = self._places(code)
        found = places.get(place)
        places[place] = found + more if found else more

    def _places(self, code: int) -> dict[Place, Exits]:
        """Return the exits of a code, to be changed."""
        found = self.exits.get(code)
        if not isinstance(found, dict):
            found = self.exits[code] = dict(found or {})
        return found

    def sample(self) -> Sample:
        """Return the sample, once every feature has filled it."""
        exits: Mapping[Code, Mapping[Place, Exits]] = {
            (self.layout.isa, code): places for code, places in self.exits.items()
        }
        return Sample(
            arch=self.layout.arch,
            isa=self.layout.isa,
            cpus=self.online,
            exits=exits,
            **self.fields,
        )
