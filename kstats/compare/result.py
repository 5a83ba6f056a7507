"""A comparison, before anybody decides how it is written."""

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
    """What is compared: a recording, or a part of one.

    ``vcpus`` is the mean number over time, None where it is not known; ``begin`` and ``end`` are
    UTC ISO 8601, None without samples; ``losses`` is what was not counted as it should (of the
    whole recording).
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
        """What to call it in a sentence."""
        return self.recording if self.part is None else f"{self.recording} {self.part}"


@attrs.frozen
class Figures:
    """Of one subject: exits, and exits per second with their spread over the samples.

    All are None where such an exit is impossible, which is not zero; ``per_vcpu_second`` also
    where vCPUs are not known, ``p5`` and ``p95`` where the samples are too few.
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
    """The figures of one subject for one category, or one of its reasons (``code`` is its)."""

    category: str
    reason: str
    code: Code | None
    subject: Subject
    figures: Figures
    ratio: Ratio


@attrs.frozen(eq=False)
class Comparison:
    """All of it: ``per`` is what ratios are of, ``by`` how hosts were split, if they were.

    ``notes`` are what people should know, a line each.
    """

    by: str | None
    per: Per
    subjects: tuple[Subject, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> tuple[str, ...]:
        """The categories that no subject had an exit of, possible or not."""
        used = {line.category for line in self.lines if line.figures.count}
        return tuple(str(category) for category in Category if category not in used)
