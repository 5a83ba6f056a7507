"""Tables of other tools: rows that count the exits of one reason.

A table is read before the ISA of its exits is known, because its rows are the evidence for it.
"""

from __future__ import annotations

import re

import attrs

from kstats.arch import lookup
from kstats.arch.base import NUMBER_MASK, Isa
from kstats.arch.spelling import code_of
from kstats.histogram import Histogram
from kstats.importers.evidence import Clue, Fit, fit
from kstats.importers.lines import Line

MOST_ROWS = 1 << 20
"""The limit of different rows; no table of a real host has more."""

HIGHEST = (1 << 64) - 1
"""The largest count, and the largest sum of counts."""

_COUNT = re.compile(r"\d{1,3}(?:(?P<mark>[,.'_])\d{3})(?:(?P=mark)\d{3}){0,5}|\d{1,20}", re.ASCII)
_ROUNDED = re.compile(
    r"[A-Za-z]\S{0,60}[\s:=,|]{1,80}(\d{1,6}(?:\.\d{1,3})?)\s?([KkMG])(?=\s|$)", re.ASCII
)
_UNITS = {"K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_FIELDS = re.compile(r"\b(exit_reason|isa|ret|esr_ec|info1)\s{0,9}=\s{0,9}(-?\w{1,20})", re.ASCII)
_EVENT = re.compile(r"(?:.{0,160}\s)?(?:kvm:)?kvm_exit:\s+")
_LABEL = re.compile(r"(?:exit_)?reason\s+")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{1,16}")
# What separates the parts of a printed reason: "48, EPT_VIOLATION", "args->exit_reason = 48".
_BETWEEN = re.compile(r"[,=()\[\]|\"'`]+|:\s|:$|\s->\s")
_SUMS = frozenset({"ALL", "SUM", "TOTAL", "TOTALS"})


def count(text: str) -> int | None:
    """Parse a count, also with thousands separators; None if it is not one below 2**64."""
    match = _COUNT.fullmatch(text)
    if match is None:
        return None
    value = int(re.sub(r"\D", "", text))
    return value if value <= HIGHEST else None


def rounded(text: str) -> int:
    """Return about how many exits a row with a count like ``1.2M`` has; 0 without such a count."""
    match = _ROUNDED.match(text.strip())
    return round(float(match[1]) * _UNITS[match[2].upper()]) if match else 0


@attrs.frozen
class Who:
    """The thread of a row, as far as the table has it; a ``pid`` or ``tid`` of 0 is unknown."""

    pid: int = 0
    tid: int = 0
    vcpu: int | None = None
    comm: str = ""
    cpu: int = -1


NOBODY = Who()


@attrs.frozen
class Key:
    """What identifies a row: the parts of its reason as they were printed, and its thread."""

    parts: tuple[str, ...]
    who: Who = NOBODY


@attrs.define
class Row:
    """The count and the times of one key, and the first line that has it."""

    line: Line
    count: int = 0
    lines: int = 1
    times: Histogram | None = None


@attrs.define
class Table:
    """A table of one tool.

    Attributes:
        name: How messages call it, if a file has several.
        isa: The ISA that the table itself names; empty if it names none.
        whole: All exits, of which the rows may be a part; None if the table has no such sum.
        entries: VM entries.
        elapsed: The seconds in which the exits happened; 0 if unknown.
        ignored: Columns that are not used.
    """

    name: str = ""
    isa: str = ""
    whole: int | None = None
    entries: int = 0
    elapsed: float = 0.0
    rows: dict[Key, Row] = attrs.field(factory=dict)
    ignored: list[str] = attrs.field(factory=list)

    def add(
        self,
        line: Line,
        n: int,
        parts: tuple[str, ...],
        who: Who = NOBODY,
        times: Histogram | None = None,
    ) -> bool:
        """Add a row; return False if there are too many, or the sum is too large."""
        key = Key(parts, who)
        row = self.rows.get(key)
        if row is None:
            if len(self.rows) >= MOST_ROWS:
                return False
            row = self.rows[key] = Row(line, lines=0)
        row.count += n
        row.lines += 1
        if times is not None:
            row.times = times if row.times is None else row.times + times
        return row.count <= HIGHEST

    @property
    def is_empty(self) -> bool:
        """Whether it counts nothing."""
        return not self.rows and self.whole is None


def is_sum(parts: tuple[str, ...]) -> bool:
    """Return whether a row is the sum of others."""
    return len(parts) == 1 and parts[0].strip(" :").upper() in _SUMS


def split(text: str) -> tuple[str, ...]:
    """Return the parts of a printed reason, without empty ones: ``48, EPT_VIOLATION``."""
    text = _EVENT.sub("", text.strip(), count=1)
    if " rip 0x" in text or "HSR_EC" in text:  # the text of an event
        return (text,)
    fields = _FIELDS.findall(text)
    if len(fields) > 1:
        return (" ".join(f"{name}={value}" for name, value in fields),)
    bare = text.strip().removesuffix(" rip")
    parts = (_LABEL.sub("", part.strip()) for part in _BETWEEN.split(bare))
    return tuple(part for part in parts if part)


def code(isa: Isa, parts: tuple[str, ...], *, base: int = 10) -> int | None:
    """Return the code that the parts of a reason name, or None.

    A number beside a name counts if it is that of the name: it may have a qualifier that the name
    lacks. Otherwise the name counts, and a number only if it is the only one.
    """
    for part in parts:
        if (found := _event_code(isa, part)) is not None:
            return found
    plain = [_without_isa(isa, part) for part in parts]
    names = [found for found in (code_of(isa, part) for part in plain) if found is not None]
    numbers = [n for n in (number(part, base) for part in plain) if n is not None]
    if names:
        same = (n for n in numbers if n & NUMBER_MASK == names[0] & NUMBER_MASK)
        return next(same, names[0])
    return numbers[0] if len(numbers) == 1 else None


def number(text: str, base: int = 10) -> int | None:
    """Parse a code in a base, or with ``0x``; None if it is not one."""
    if base == 16 and _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    return lookup.number(text)


def _event_code(isa: Isa, text: str) -> int | None:
    """Return the code in the text or the fields of an event kvm_exit; None without one."""
    fields = dict(_FIELDS.findall(text))
    if fields and isa.event and isa.event.fields:
        return isa.event.fields(isa, fields)
    match = re.match(isa.event.pattern, text) if isa.event and " " in text else None
    return isa.event.code(isa, match) if isa.event and match else None


def _event_fit(isa: Isa, text: str) -> Fit | None:
    """Return how well an ISA explains the text or the fields of an event kvm_exit."""
    if _event_code(isa, text) not in isa.reasons:
        return None
    match = re.match(isa.event.pattern, text) if isa.event else None
    name = match.groupdict().get("name") if match else None
    return fit(isa, name) if name else Fit.CERTAIN


def _without_isa(isa: Isa, text: str) -> str:
    prefix, colon, rest = text.partition(":")
    return rest if colon and prefix.strip().lower() == isa.name else text


def clue(isas: tuple[Isa, ...], table: Table, key: Key) -> Clue:
    """Return what a row says about the ISA of its exits."""
    n = table.rows[key].count
    fits: dict[str, Fit] = {}
    for isa in isas:
        found = [fit(isa, part) for part in key.parts]
        known = [how for how in found if how is not None]
        named = table.isa == isa.name or any(_without_isa(isa, part) != part for part in key.parts)
        known += [how for part in key.parts if (how := _event_fit(isa, part)) is not None]
        if named:
            known.append(Fit.CERTAIN)
        if known:
            fits[isa.name] = max(known)
    return Clue(fits, n)
