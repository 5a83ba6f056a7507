"""Samples from readings that are made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kstats.collector.counters import Counters, Grouping, Key, Totals
from kstats.collector.draft import Draft
from kstats.collector.feature import Feature
from kstats.collector.layout import Layout
from kstats.collector.live import filled
from kstats.collector.percpu import Counts, Reading, Words
from kstats.model import Sample

LAYOUT = Layout("native", "native", (0, 1), (0, 1))
ME, HER = 7 << 32 | 8, 7 << 32 | 9


def nothing(layout: Layout = LAYOUT) -> Reading:
    """Return a reading of counters that are all zero."""
    words = Words(layout)
    return Reading(0.0, 0.0, words.columns(bytes(words.stride * words.cpus * 8)), {}, 0)


def totals(counts: Mapping[Key, int]) -> Totals:
    """Return a reading of exits by thread with these counts."""
    return Grouping().totals(Counters.of(counts))


def between(
    *readings: tuple[Feature, Any, Any], layout: Layout = LAYOUT, online: tuple[int, ...] = (0, 1)
) -> Sample:
    """Return the sample between two readings of each feature; those by CPU may be left out."""
    found = list(readings)
    if not any(isinstance(feature, Counts) for feature, _, _ in found):
        found.append((Counts(layout), nothing(layout), nothing(layout)))
    found.sort(key=lambda reading: reading[0].phase)
    return filled(Draft(layout, online), found)
