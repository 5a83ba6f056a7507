"""Render the page as one self-contained HTML text: no file, no network, no foreign script.

All text from recordings passes through :func:`kstats.escape.printable` and the escaping of the
template. If both failed, the page's content security policy would still block it: it allows only
the style and the script whose hashes it has, and no inline attributes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import attrs
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import kstats
from kstats import arch as arches
from kstats.arch import categories, lookup
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Category
from kstats.compare.aggregate import DROPPED_CODE
from kstats.compare.compare import Options, compare
from kstats.compare.result import Comparison, Figures, Line
from kstats.errors import UnknownNameError
from kstats.escape import LONGEST_NOTE, printable
from kstats.model import Code
from kstats.report import style, texts
from kstats.report.chapter import Chapter
from kstats.report.gather import Gathered
from kstats.report.subject import categories_of

_MOST_REASONS = 100

_BAR = 1000
"""The length of the longest bar, in its own units."""


@attrs.frozen(eq=False)
class Compared:
    """The comparison, its unit, its highest value and the most frequent reasons."""

    comparison: Comparison
    unit: str
    most: float
    reasons: list[Line]

    def value(self, figures: Figures) -> float | None:
        """Return the figure that is compared; None if such exits are impossible."""
        value: float | None = getattr(figures, f"per_{self.comparison.per}")
        return value


@attrs.frozen
class Explanation:
    """What ``kstats explain`` says of a reason."""

    anchor: str
    name: str
    where: str
    category: str
    style: str
    meaning: str
    causes: tuple[str, ...]
    remedies: tuple[str, ...]
    source: str


def html(recordings: Sequence[Gathered]) -> str:
    """Return the page on these recordings, at least one."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        rate=texts.rate, shown=printable, note=_note, ratio=_ratio, json=_json, bar=_bar
    )
    chapters = [Chapter(place, one) for place, one in enumerate(recordings)]
    explained = _explained(code for one in chapters if not one.empty for code in one.codes)
    css, script = style.css() + _resource("page.css"), _resource("page.js")
    return environment.from_string(_resource("page.html.j2")).render(
        version=kstats.__version__,
        made=texts.moment(datetime.now(UTC).timestamp()),
        css=Markup(css),  # noqa: S704 - ours
        css_hash=_hash(css),
        script=Markup(script),  # noqa: S704 - ours
        script_hash=_hash(script),
        meanings={str(c): categories.MEANINGS[c].summary for c in Category},
        limits={str(c): _limits(c, recordings) for c in Category},
        styles={str(c): style.of(c) for c in Category} | {"total": "k-ink"},
        chapters=chapters,
        categories_of=categories_of,
        explained=explained,
        fact_names=list(dict.fromkeys(name for one in chapters for name in one.facts)),
        compared=_compared(recordings) if len(recordings) > 1 else None,
    )


def _resource(name: str) -> str:
    return (files("kstats.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression of a content security policy that allows this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _explained(codes: Iterable[Code]) -> Mapping[Code, Explanation]:
    """Return the explanation of each code, in the order of ISAs and codes."""
    unique = sorted(set(codes) - {DROPPED_CODE})
    return {code: _explanation(f"e{place}", code) for place, code in enumerate(unique)}


def _explanation(anchor: str, code: Code) -> Explanation:
    reason, (name, number) = arches.reason(*code), code
    qualifier = number >> NUMBER_BITS
    where = f"{_title(name)}, {number & NUMBER_MASK}"
    where += f", qualifier {qualifier}" if qualifier else ""
    return Explanation(
        anchor,
        printable(reason.name),
        f"{where}, column {_column(name, reason.column)}",
        str(reason.category),
        style.of(reason.category),
        reason.meaning or "Not in the tables: reserved, or newer than kstats.",
        reason.advice.causes,
        reason.advice.remedies,
        reason.sources,
    )


def _title(isa: str) -> str:
    try:
        return arches.isa(isa).title
    except UnknownNameError:  # of a backend that is not installed here
        return printable(isa)


def _column(isa: str, key: str) -> str:
    """Return a column as ``kstats cpu`` shows it."""
    try:
        columns = arches.columns(lookup.arch_of(arches.isa(isa)))
    except UnknownNameError:
        return key
    return next(lookup.shown(column) for column in columns if column.key == key)


def _limits(category: Category, recordings: Sequence[Gathered]) -> list[str]:
    """Return what a category hides, in general and on the ISAs of the recordings."""
    known = {isa.name: isa for arch in arches.arches() for isa in arch.isas}
    names = dict.fromkeys(name for one in recordings for name in one.aggregate.isas)
    notes = categories.notes(category, [known[name] for name in names if name in known])
    own = (f"{titles}: {text}" for titles, text in notes)
    return [text.replace("**", "") for text in (*categories.MEANINGS[category].hides, *own)]


def _compared(recordings: Sequence[Gathered]) -> Compared:
    comparison = compare({one.label: one.aggregate for one in recordings}, Options(reasons=True))
    unit = f"exits per {comparison.per.replace('vcpu_', 'vCPU-')}"
    reasons = [line for line in comparison.lines if line.code and line.figures.count]
    reasons.sort(key=lambda line: -(line.figures.count or 0))
    compared = Compared(comparison, unit, 0.0, reasons[:_MOST_REASONS])
    values = (compared.value(line.figures) for line in comparison.lines if line.code is None)
    return attrs.evolve(compared, most=max((value or 0.0 for value in values), default=0.0))


def _bar(parts: Iterable[tuple[str, float]], most: float) -> Markup:
    """Return a bar of parts, each a class and an amount; ``most`` is the length of the longest."""
    shapes, begin = [], 0.0
    for name, amount in parts:
        width = max(_BAR * amount / most, 1.0) if most else 0.0
        shapes.append(f'<rect class="{name}" x="{begin:.4g}" width="{width:.4g}" height="1"/>')
        begin += width
    head = f'<svg class="bar" viewBox="0 0 {_BAR} 1" preserveAspectRatio="none" aria-hidden="true">'
    return Markup(f"{head}{''.join(shapes)}</svg>")  # noqa: S704 - drawn


def _json(data: Any) -> Markup:
    """Return JSON that cannot end the element that it is in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - escaped


def _note(text: str) -> str:
    # The page has the explanations of the categories; it has no options.
    return printable(text.removesuffix(": see --explain"), LONGEST_NOTE)


def _ratio(ratio: Any) -> str:
    if ratio is None or isinstance(ratio, str):
        return ratio or texts.DASH
    return f"{ratio:.2f}" if ratio == 0 or ratio >= 0.1 else f"{ratio:.2g}"
