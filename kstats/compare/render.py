"""A comparison as a table for people, Markdown for a ticket, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK
from kstats.columns import padded, width
from kstats.compare.result import Comparison, Line, Ratio, Subject
from kstats.escape import LONGEST_NOTE, inert, json_line, printable
from kstats.table import Cell

FIGURES = {
    "per_second": "per_s",
    "median": "median",
    "p5": "p5",
    "p95": "p95",
    "per_vcpu_second": "per_vcpu_s",
    "share": "share%",
}
"""The figures of a line, and what stands over each on the screen."""

_Draw: TypeAlias = Callable[[Sequence[Sequence[str]], int], Iterable[str]]
"""Return the lines of a table, given its rows with the headings, and its columns of words."""


def table(comparison: Comparison) -> str:
    """Return aligned columns: the subjects, then the figures; notes begin with ``#``."""
    notes = "".join(f"# {note}\n" for note in _notes(comparison, printable))
    return "\n".join([*_tables(comparison, _plain_lines, printable), notes])


def markdown(comparison: Comparison) -> str:
    """Return the same as Markdown for GitHub and most trackers.

    Names are code: in it, nothing is markup, a link, a mention or a reference to an issue.
    """
    notes = "".join(f"- {note}\n" for note in _notes(comparison, _code))
    return "\n".join([*_tables(comparison, _markdown_lines, _code_in_table), notes])


def as_csv(comparison: Comparison) -> str:
    """Return a line for each subject of each category or reason; a missing value is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    named = ["recording", *((comparison.by,) if comparison.by else ())]
    writer.writerow(["category", "reason", "isa", "code", *named, "count", *FIGURES, "ratio"])
    for line in comparison.lines:
        isa, code = line.code or ("", "")
        who = [line.subject.recording, *((line.subject.part,) if comparison.by else ())]
        figures = attrs.asdict(line.figures)
        values = [line.category, line.reason, isa, code, *who, *figures.values(), line.ratio]
        writer.writerow([_plain(value) for value in values])
    return stream.getvalue()


def as_json(comparison: Comparison) -> str:
    """Return one object on a line; the schema is kstats/compare/schema.json."""
    return json_line(as_object(comparison))


def as_object(comparison: Comparison) -> dict[str, Any]:
    """Return ``comparison`` as the object that the schema describes."""
    numbers = {id(subject): i for i, subject in enumerate(comparison.subjects)}
    return {
        "by": comparison.by,
        "per": comparison.per,
        "subjects": [_subject(subject) for subject in comparison.subjects],
        "lines": [_line(line, numbers[id(line.subject)]) for line in comparison.lines],
        "notes": list(comparison.notes),
    }


FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "table": table,
    "json": as_json,
    "csv": as_csv,
    "markdown": markdown,
}
"""Every output format by its name on the command line; the first is the default."""

WITHOUT_NOTES = frozenset({"csv"})
"""Formats that cannot hold the notes of a comparison."""


def _tables(comparison: Comparison, draw: _Draw, safe: Callable[..., str]) -> Iterator[str]:
    """Return the subjects and the lines that are not empty, each ending in a line feed."""
    named, empty = _named(comparison), comparison.empty
    subjects = [[*_who(s, named, safe), *_facts(s, safe)] for s in comparison.subjects]
    yield _joined(draw([[*named, *_FACTS], *subjects], len(named) + _FACT_WORDS))
    reasons = any(line.code for line in comparison.lines)
    words = ["category", *(("reason",) if reasons else ()), *named]
    rows = [
        [
            line.category,
            *((safe(line.reason),) if reasons else ()),
            *_who(line.subject, named, safe),
            *(_number(getattr(line.figures, key), key) for key in FIGURES),
            _ratio(line.ratio),
        ]
        for line in comparison.lines
        if line.category not in empty
    ]
    yield _joined(draw([[*words, *FIGURES.values(), "ratio"], *rows], len(words)))


def _notes(comparison: Comparison, safe: Callable[..., str]) -> Iterator[str]:
    if empty := comparison.empty:
        yield f"categories without exits: {', '.join(empty)}"
    yield from (safe(note, LONGEST_NOTE) for note in comparison.notes)


def _named(comparison: Comparison) -> list[str]:
    """Return what distinguishes the subjects: recording, part of the only recording, or both."""
    several = len({subject.recording for subject in comparison.subjects}) > 1
    parts = (comparison.by,) if comparison.by else ()
    return [*(("recording",) if several or not parts else ()), *parts]


def _who(subject: Subject, named: Sequence[str], safe: Callable[..., str]) -> list[str]:
    return [safe(subject.recording if n == "recording" else str(subject.part)) for n in named]


def _plain_lines(rows: Sequence[Sequence[str]], words: int) -> Iterator[str]:
    return ("  ".join(row).rstrip() for row in padded(rows, words))


def _markdown_lines(rows: Sequence[Sequence[str]], words: int) -> Iterator[str]:
    headings, *others = padded(rows, words)
    dashes = ["-" * (width(heading) + 1) for heading in headings]
    rules = [f":{dash}" if at < words else f"{dash}:" for at, dash in enumerate(dashes)]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join(rules)}|"
    yield from (f"| {' | '.join(row)} |" for row in others)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


_FACTS = ("isa", "from (UTC)", "seconds", "samples", "cpus", "vcpus", "exits")
_FACT_WORDS = 2


def _facts(subject: Subject, safe: Callable[..., str]) -> list[str]:
    return [
        safe(" ".join(subject.isas) or subject.arch),
        "-" if subject.begin is None else subject.begin.removesuffix("Z").replace("T", " "),
        _number(subject.seconds),
        str(subject.samples),
        str(subject.cpus),
        _number(subject.vcpus),
        str(subject.exits),
    ]


def _number(value: float | None, key: str = "") -> str:
    """Format a number with at least three digits, so that small is not zero; shares with one."""
    if value is None:
        return "-"
    if key == "share":
        return f"{value:.1f}" if value == 0 or value >= 0.1 else f"{value:.2g}"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _ratio(ratio: Ratio) -> str:
    if ratio is None or isinstance(ratio, str):
        return ratio or "-"
    return f"{ratio:.2f}" if ratio == 0 or ratio >= 0.1 else f"{ratio:.2g}"


def _code(text: str, limit: int = 64) -> str:
    """Return a text as a code span, between more backticks than it has in a row."""
    shown = printable(text, limit)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}" if shown else ""


def _code_in_table(text: str) -> str:
    # A table is split into cells before its code is looked for.
    return _code(text).replace("|", r"\|")


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return float(f"{cell:.6g}")
    return inert(cell) if isinstance(cell, str) else cell


def _subject(subject: Subject) -> dict[str, Any]:
    fields = {key: _rounded(value) for key, value in attrs.asdict(subject).items()}
    return fields | {"isas": list(subject.isas)}


def _line(line: Line, subject: int) -> dict[str, Any]:
    identity = {} if line.code is None else _identity(line)
    figures = {key: _rounded(value) for key, value in attrs.asdict(line.figures).items()}
    ratio = {"ratio": _rounded(line.ratio)}
    return {"category": line.category, "subject": subject} | identity | figures | ratio


def _identity(line: Line) -> dict[str, Any]:
    isa, code = line.code or ("", 0)
    number = {"code": code & NUMBER_MASK, "qualifier": code >> NUMBER_BITS}
    return {"reason": line.reason, "isa": isa} | number


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
