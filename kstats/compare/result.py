"""The result of a comparison, independent of the output format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import attrs

from kstats.arch.base import Category
from kstats.model import Code
from kstats.table import Cell

TOTAL: Final = "total"
"""Stands where a category does, for all exits."""

NEW: Final = "new"
"""The ratio of something to nothing."""

Ratio: TypeAlias = float | Literal["new"] | None
Per: TypeAlias = Literal["vcpu_second", "second"]


@attrs.frozen
class Subject:
    """One side of a comparison: a recording, or a part of one.

    ``vcpus`` is the mean number over time, None if unknown; ``begin`` and ``end`` are UTC ISO 8601,
    None without samples; ``losses`` has the incompletely counted exits of the whole recording.
    """

    recording: str
    part: Cell
    arch: str
    isas: tuple[str, ...]
    begin: str | None
    end: str | None
    seconds: float
    samples: int
    cpus: int
    vcpus: float | None
    exits: int
    losses: Mapping[str, int]

    @property
    def name(self) -> str:
        """The name of the subject in a sentence."""
        return self.recording if self.part is None else f"{self.recording} {self.part}"


@attrs.frozen
class Figures:
    """The exits of one subject, and its exits per second with their quantiles.

    All are None, not zero, if such an exit is impossible. ``per_vcpu_second`` is also None if
    vCPUs are unknown, ``p5`` and ``p95`` if there are too few samples.
    """

    count: int | None = None
    per_second: float | None = None
    median: float | None = None
    p5: float | None = None
    p95: float | None = None
    per_vcpu_second: float | None = None
    share: float | None = None


@attrs.frozen
class Line:
    """The figures of one subject for a category, or for one of its reasons (with a ``code``)."""

    category: str
    reason: str
    code: Code | None
    subject: Subject
    figures: Figures
    ratio: Ratio


@attrs.frozen(eq=False)
class Comparison:
    """A comparison; ``per`` is the rate that ratios compare, ``by`` how hosts are split.

    ``notes`` are remarks for people, one line each.
    """

    by: str | None
    per: Per
    subjects: tuple[Subject, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> tuple[str, ...]:
        """The categories without exits of any subject, possible or not."""
        used = {line.category for line in self.lines if line.figures.count}
        return tuple(str(category) for category in Category if category not in used)
