"""Drafts: samples that features fill (:mod:`kstats.collector.feature`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from kstats.collector.layout import Layout
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
    exits: dict[int, dict[Place, Exits]] = attrs.field(factory=dict)
    fields: dict[str, Any] = attrs.field(factory=dict)

    def count(self, code: int, place: Place, n: int) -> None:
        """Set the number of exits of a code at a place that no other feature fills."""
        self.exits.setdefault(code, {})[place] = count_only(n)

    def add(self, code: int, place: Place, more: Exits) -> None:
        """Add exits to those of a code at a place."""
        places = self.exits.setdefault(code, {})
        found = places.get(place)
        places[place] = found + more if found else more

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
