"""Render the page as one self-contained HTML text: no script, no file, no network.

All text from recordings passes through :func:`kstats.escape.printable` and the escaping of the
template. If both failed, the page's content security policy would still block scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import attrs
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import kstats
from kstats.arch import categories
from kstats.arch.base import Category
from kstats.compare.compare import Options, compare
from kstats.compare.result import Comparison, Figures, Line
from kstats.escape import LONGEST_NOTE, printable
from kstats.report import pictures, texts
from kstats.report.chapter import Chapter
from kstats.report.gather import Gathered

_MOST_REASONS = 100


@attrs.frozen(eq=False)
class Compared:
    """The comparison with its picture, the text alternative, and the most frequent reasons."""

    comparison: Comparison
    svg: Markup
    words: str
    unit: str
    reasons: list[Line]


def html(recordings: Sequence[Gathered]) -> str:
    """Return the page on these recordings, at least one."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        rate=texts.rate, number=texts.number, shown=printable, note=_note, ratio=_ratio
    )
    chapters = [Chapter(place, one) for place, one in enumerate(recordings)]
    return environment.from_string(_resource("page.html.j2")).render(
        version=kstats.__version__,
        made=texts.moment(datetime.now(UTC).timestamp()),
        style=Markup(_resource("page.css")),  # noqa: S704 - ours
        heat_scale=Markup(pictures.HEAT_CSS),  # noqa: S704 - ours
        meanings={str(c): categories.MEANINGS[c].summary for c in Category},
        colours={str(c): f"--s{i}" for i, c in enumerate(Category)},
        chapters=chapters,
        fact_names=list(dict.fromkeys(name for one in chapters for name in one.facts)),
        compared=_compared(recordings) if len(recordings) > 1 else None,
    )


def _resource(name: str) -> str:
    return (files("kstats.report") / name).read_text(encoding="utf-8")


def _compared(recordings: Sequence[Gathered]) -> Compared:
    comparison = compare({one.label: one.aggregate for one in recordings}, Options(reasons=True))
    unit = f"exits per {comparison.per.replace('vcpu_', 'vCPU-')}"
    shown = [c for c in Category if c not in comparison.empty]
    groups = {
        str(category): [
            _per(line.figures, comparison)
            for line in comparison.lines
            if line.category == category and line.code is None
        ]
        for category in shown
    }
    names = [subject.recording for subject in comparison.subjects]
    words = "; ".join(
        f"{category}: {', '.join(_told(n, v) for n, v in zip(names, values, strict=True))}"
        for category, values in groups.items()
    )
    svg = Markup(pictures.bars(groups, unit))  # noqa: S704 - drawn
    reasons = [line for line in comparison.lines if line.code and line.figures.count]
    reasons.sort(key=lambda line: -(line.figures.count or 0))
    return Compared(comparison, svg, f"{unit} by category. {words}.", unit, reasons[:_MOST_REASONS])


def _per(figures: Figures, comparison: Comparison) -> float | None:
    value: float | None = getattr(figures, f"per_{comparison.per}")
    return value


def _told(name: str, value: float | None) -> str:
    return f"{printable(name)} {'impossible' if value is None else texts.rate(value)}"


def _note(text: str) -> str:
    return printable(text, LONGEST_NOTE)


def _ratio(ratio: Any) -> str:
    if ratio is None or isinstance(ratio, str):
        return ratio or texts.DASH
    return f"{ratio:.2f}" if ratio == 0 or ratio >= 0.1 else f"{ratio:.2g}"
