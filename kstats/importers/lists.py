"""Read lists of reasons without a heading, each with or without a count.

::

48
vmx:0x1e 17
EPT_VIOLATION,3
   1234 HLT                       sort | uniq -c
hlt: 12, msr_write: 33            several on a line
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from kstats.arch import lookup
from kstats.importers.evidence import is_nameless
from kstats.importers.figures import Table, code, count, is_sum, rounded, split
from kstats.importers.lines import Line, Problems

_COUNT = r"(?P<count>\d[\d,.'_]{0,26})"
_LAST = re.compile(
    rf"(?P<what>\S.{{0,200}}?)[\s,;:=|]{{1,80}}{_COUNT}"
    r"(?:[\s,;|]{1,20}(?:\(?\d{1,3}(?:\.\d{1,9})?\s?%\)?|\d{1,3}\.\d{1,2}))?",
    re.ASCII,
)
_FIRST = re.compile(rf"{_COUNT}[\s,;:=|]{{1,80}}(?P<what>\S.{{0,400}})", re.ASCII)
_NUMBER = re.compile(r"\d[\d,.'_]{0,26}%?", re.ASCII)
_PADDED = re.compile(r"\s{2,}\d", re.ASCII)
_IGNORED = re.compile(r"(?:$|[#$`]|[-=+|\s]+$|\^C$)")
_BULLET = re.compile(r"(?:[-*\u2022]|\d{1,4}[.)])\s+", re.ASCII)
_SEVERAL = re.compile(r",\s*(?=[A-Za-z])")

_ENTRY = re.compile(r"(?P<count>\d{1,19}) (?:kvm:)?kvm_entry: .*", re.ASCII)

_MOST_PARTS = 3
"""A reason has a number, a name, and perhaps a label; a longer line is something else."""

Counted = tuple[tuple[str, ...], int]
"""The parts of a reason, and its count."""


def fits(text: str) -> bool:
    """Return whether the line has a code or name of some ISA, with or without a count."""
    return bool(_readings(text))


def parse(lines: Iterable[Line], problems: Problems) -> Iterator[Table]:
    """Yield one table.

    Of two numbers on each line, the second is the count, unless the first ones are aligned as by
    ``uniq -c``, or only the second ones are all codes that have a name.
    """
    named, numbered, swapped = Table(), Table(), Table()
    padded = True
    for line in lines:
        if _IGNORED.match(line.text.strip()):
            continue
        if entry := _ENTRY.fullmatch(line.text.strip()):
            named.entries += int(entry["count"])
            continue
        found = _readings(line.text) if line.whole else ()
        if not found:
            problems.add(line, _claimed(line))
        elif _are_two_numbers(line.text):
            padded = padded and _PADDED.match(line.text) is not None
            ((what,), n) = found[0]
            numbered.add(line, n, (what,))
            swapped.add(line, int(what), (str(n),))
        elif not all(n == 0 or is_sum(parts) or named.add(line, n, parts) for parts, n in found):
            problems.add(line, _claimed(line))
    if numbered.rows and (padded or (_are_known(swapped) and not _are_known(numbered))):
        problems.remark("of the two numbers in a line, the first is taken for the count")
        numbered = swapped
    for key, row in numbered.rows.items():
        named.add(row.line, row.count, key.parts)
        named.rows[key].lines += row.lines - 1
    yield named


def _claimed(line: Line) -> int:
    """Return the exits that a line seems to count, if it has an unknown name."""
    if line.whole and (about := rounded(line.text)):
        return about
    match = _LAST.fullmatch(line.text.strip()) if line.whole else None
    if match:
        return count(match["count"]) or 0
    return int(len(line.text.split()) == 1)


def _are_two_numbers(text: str) -> bool:
    return re.fullmatch(r"\s*\d+[\s,;:=|]+\d+\s*", text, re.ASCII) is not None


def _are_known(table: Table) -> bool:
    """Return whether some ISA has a name for all codes."""
    keys = list(table.rows)
    return any(all(code(isa, key.parts) in isa.reasons for key in keys) for isa in lookup.isas())


@lru_cache(maxsize=1 << 10)
def _readings(text: str) -> tuple[Counted, ...]:
    """Return the reasons and counts in a line; empty if a part of it is something else."""
    text = text.replace("\uff1a", ":").strip()
    bullet = _BULLET.match(text)
    bare = text[bullet.end() if bullet else 0 :].replace('"', "").strip(" \t|,;")
    items = [item for item in _SEVERAL.split(bare) if item]
    several = [_counted(item) for item in items] if len(items) > 1 else []
    if several and all(several):
        return tuple(found for found in several if found)
    found = _counted(bare)
    if found:
        return (found,)
    parts = split(bare)
    if len(parts) > _MOST_PARTS or not _is_reason(parts) or _has_other_number(parts):
        return ()
    return ((parts, 1),)


def _counted(text: str) -> Counted | None:
    """Return the reason and the count of an item that has both."""
    for pattern in (_LAST, _FIRST):
        match = pattern.fullmatch(text)
        if match:
            parts, n = split(match["what"]), count(match["count"])
            if n is not None and len(parts) <= _MOST_PARTS and _is_reason(parts):
                return parts, n
    return None


def _has_other_number(parts: tuple[str, ...]) -> bool:
    """Return whether a number beside a name is not the code of that name."""
    codes = {code(isa, parts) for isa in lookup.isas()}
    numbers = [part for part in parts if _NUMBER.fullmatch(part)]
    return len(parts) > 1 and any(lookup.number(number) not in codes for number in numbers)


def _is_reason(parts: tuple[str, ...]) -> bool:
    isas = lookup.isas()
    return any(
        code(isa, parts) is not None or any(is_nameless(isa, part) for part in parts)
        for isa in isas
    )
