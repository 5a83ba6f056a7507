"""What each value of an architecture must be by itself, whatever the others are.

The values check nothing when they are made: every command makes those of the built-in
architectures. The contract (:mod:`kstats.arch.rules`) includes these checks. A line names the field
and the value: ``Reason.name has unusual characters: 'a,b'``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from kstats.arch import base, details, kvmstat
from kstats.arch.base import NUMBER_BITS

CODE_BITS = 64
MAX_LINE = 100

MAX_ARGS = 12
"""Arguments of a raw tracepoint (the kernel's MAX_BPF_FUNC_ARGS)."""

Check = Callable[[Any], Iterator[str]]
"""Yields what is wrong with a field, as text that follows its name."""

_PUNCTUATION = str.maketrans("", "", "_ .:-")


def field(problem: str, holds: Callable[[Any], object]) -> Check:
    """Return a check that yields ``problem`` unless ``holds(value)``."""
    return each(problem, holds, lambda value: (value,))


def each(
    problem: str, holds: Callable[[Any], object], parts: Callable[[Any], Iterable[Any]] = iter
) -> Check:
    """Return a check of every part of a field: elements of a tuple, or keys of a mapping."""

    def check(value: Any) -> Iterator[str]:
        return (f"{problem}: {part!r}" for part in parts(value) if not holds(part))

    return check


def is_identifier(text: str) -> bool:
    """Whether a name has lower-case letters, digits and _ only, and starts with a letter."""
    return text.isascii() and text.isidentifier() and text == text.lower() and text[0] != "_"


def is_define(text: str) -> bool:
    """Whether a name is one of the C preprocessor: an identifier in upper case."""
    return is_identifier(text.lower()) and text == text.upper()


def is_readable(text: str) -> bool:
    """Whether a name survives CSV, JSON keys and shells."""
    return text.isascii() and text[:1].isalpha() and text.translate(_PUNCTUATION).isalnum()


def is_member(text: str) -> bool:
    """Whether a text is a member of a struct: ``struct.member.member``."""
    return "." in text and all(part.isidentifier() for part in text.split("."))


def is_line(text: str) -> bool:
    """Whether a text is one short line."""
    return 0 < len(text) <= MAX_LINE and text.isprintable()


def _are_paragraphs(texts: object) -> bool:
    return isinstance(texts, tuple) and bool(texts) and all(t and t.isprintable() for t in texts)


_IDENTIFIER = "has characters other than lower-case letters, digits and _"
_LINE = f"is not one line of 1 to {MAX_LINE} characters"
_DEFINE = "is not a preprocessor name"

identifier = field(_IDENTIFIER, is_identifier)
identifiers = each(_IDENTIFIER, is_identifier)
define = field(_DEFINE, is_define)
defines = each(_DEFINE, is_define)
define_or_empty = field(_DEFINE, lambda text: not text or is_define(text))
line = field(_LINE, is_line)
line_or_empty = field(_LINE, lambda text: not text or is_line(text))
lines = each(_LINE, is_line)
not_empty = field("is empty", bool)
code = field("is not a 64-bit code", lambda value: 0 <= value < 1 << CODE_BITS)
number = field(f"has more than {NUMBER_BITS} bits", lambda value: 0 <= value < 1 << NUMBER_BITS)

FIELDS: Mapping[type, Mapping[str, tuple[Check, ...]]] = {
    base.Advice: {"causes": (lines,), "remedies": (lines,), "sources": (lines,)},
    base.Reason: {
        "category": (field("is not a category", lambda value: isinstance(value, base.Category)),),
        "meaning": (line_or_empty,),
        "source": (line_or_empty,),
    },
    base.Column: {
        "key": (identifier,),
        "label": (field("is not one word", lambda text: text and not {*text} & {*"() "}),),
        "meaning": (line_or_empty,),
    },
    base.NameTable: {"qualifier": (number,)},
    base.Spellings: {"aliases": (each("is not upper case", lambda name: name == name.upper()),)},
    base.Isa: {
        "name": (identifier,),
        "title": (line,),
        "flag_mask": (number,),
        "category_notes": (
            each("has an unknown category", lambda key: isinstance(key, base.Category)),
            each("is not a tuple of paragraphs", _are_paragraphs, lambda notes: notes.values()),
        ),
    },
    base.SlotRange: {
        "first": (code,),
        "length": (field("is not positive", lambda length: length > 0),),
    },
    base.BtfField: {
        "define": (define,),
        "paths": (not_empty, each("is not struct.member", is_member)),
    },
    base.RecordField: {"define": (define,)},
    base.Probe: {"define": (define,)},
    base.DetailEvent: {"tracepoint": (identifier,), "args": (define_or_empty,)},
    base.DetailSource: {"defines": (not_empty, defines), "probes": (not_empty,)},
    base.ExitSource: {"probes": (not_empty,), "define": (define_or_empty,)},
    base.Arch: {
        "name": (identifier,),
        "title": (line,),
        "machines": (field("is not a tuple of names", lambda m: m and not isinstance(m, str)),),
        "isas": (not_empty,),
    },
    details.Detail: {"name": (identifier,), "meaning": (line,), "codes": (not_empty,)},
    kvmstat.Event: {"tracepoint": (identifier,)},
    kvmstat.Rule: {
        "meaning": (line,),
        "not_counted": (line_or_empty,),
        "stats": (identifiers,),
        "not_kept": (line_or_empty,),
        "differs": (line_or_empty,),
    },
}
"""The checks of single fields."""


def problems(value: object) -> Iterator[str]:
    """Yield what is wrong with a value and with those that it contains, one line each."""
    for kind in type(value).__mro__:
        for name, checks in FIELDS.get(kind, {}).items():
            for check in checks:
                wrong = check(getattr(value, name))
                yield from (f"{kind.__name__}.{name} {problem}" for problem in wrong)
        if kind in _TOGETHER:
            yield from (f"{kind.__name__}: {problem}" for problem in _TOGETHER[kind](value))
    if isinstance(value, tuple):
        for part in value:
            yield from problems(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from problems(part)


def _advice(advice: base.Advice) -> Iterator[str]:
    if bool(advice.causes) != bool(advice.remedies):
        yield f"causes without remedies, or the reverse: {advice}"


def _isa(isa: base.Isa) -> Iterator[str]:
    yield from _codes(isa)
    names = {reason.name for reason in isa.reasons.values()}
    yield from repeated("name", (reason.name for reason in isa.reasons.values()))
    yield from repeated("table", ((t.kind, t.expression) for t in isa.tables))
    yield from repeated("detail", (detail.name for detail in isa.details))
    for bit, flag in isa.flags.items():
        if bit.bit_count() != 1 or bit & ~isa.flag_mask:
            yield f"flag {flag} ({bit:#x}) is not one bit of flag_mask"
    if isa.failed_mask & ~isa.flag_mask:
        yield f"failed_mask {isa.failed_mask:#x} has bits outside flag_mask"
    for alias, name in isa.spellings.aliases.items():
        if name not in names or alias in names:
            yield f"spelling {alias!r} is itself a name, or {name!r} is not"


def _codes(isa: base.Isa) -> Iterator[str]:
    # Not checks of Reason: unknown and qualified codes have names that break these rules.
    for number, reason in isa.reasons.items():
        if not 0 <= number < 1 << CODE_BITS:
            yield f"{number:#x} is not a 64-bit code"
        if reason.code != number:
            yield f"the reason under code {number:#x} has the code {reason.code:#x}"
        if not is_readable(reason.name):
            yield f"the name {reason.name!r} has unusual characters"
        if number & isa.flag_mask:
            yield f"{reason.name} ({number:#x}) has a bit of flag_mask"


def _slots(slots: base.SlotRange) -> Iterator[str]:
    if slots.end > 1 << CODE_BITS:
        yield f"ends after the last 64-bit code: {slots}"


def _probe(probe: base.Probe) -> Iterator[str]:
    if probe.attach == "raw":
        if probe.args is None or not 0 <= probe.args <= MAX_ARGS:
            yield f"a raw tracepoint needs the number of its arguments (args): {probe.name}"
        if probe.record:
            yield f"a raw tracepoint has no record: {probe.name}"
    elif probe.attach == "classic":
        if not probe.record:
            yield f"a classic tracepoint needs fields of its record: {probe.name}"
        if probe.args is not None or probe.btf or probe.direct:
            yield f"a classic tracepoint has neither args nor btf nor direct: {probe.name}"
    else:
        yield f"attach is {probe.attach!r}, not raw or classic"


def _source(source: base.ExitSource) -> Iterator[str]:
    yield from repeated("probe", (probe.name for probe in source.probes))
    yield from repeated("define", (probe.define for probe in source.probes))
    yield from repeated("detail", (detail.name for detail in source.details))
    known = {probe.name for probe in source.probes}
    for detail in source.details:
        for probe in detail.probes:
            if probe.name not in known:
                yield f"detail {detail.name}: the source has no probe {probe.name!r}"
    slots = sorted(source.slots)
    for slot, following in pairwise(slots):
        if slot.end > following.first:
            yield f"{following} overlaps {slot}"
    total = sum(slot.length for slot in slots)
    if not 0 < total <= base.MAX_SLOTS:
        yield f"{total} slots; 1 to {base.MAX_SLOTS} are possible"


def _event(event: kvmstat.Event) -> Iterator[str]:
    if (event.arg is None) == bool(event.values):
        yield f"arg and values go together: {event}"
    if event.arg is not None and not 0 <= event.arg < MAX_ARGS:
        yield f"arg is not below {MAX_ARGS}: {event}"


def _rule(rule: kvmstat.Rule) -> Iterator[str]:
    if rule.is_counted == bool(rule.not_counted):
        yield f"{rule.column} must count something or have not_counted, and not both"
    if bool(rule.stats) == bool(rule.not_kept):
        yield f"{rule.column} must have stats or not_kept, and not both"
    if rule.differs and not (rule.is_counted and rule.stats):
        yield f"{rule.column} has differs, but not two sources"


_TOGETHER: Mapping[type, Callable[[Any], Iterator[str]]] = {
    base.Advice: _advice,
    base.Isa: _isa,
    base.SlotRange: _slots,
    base.Probe: _probe,
    base.ExitSource: _source,
    kvmstat.Event: _event,
    kvmstat.Rule: _rule,
}
"""The checks of fields that must fit together."""


def repeated(kind: str, items: Iterable[Hashable]) -> Iterator[str]:
    """Yield a line for each item that is there more than once."""
    seen: set[Hashable] = set()
    for item in items:
        if item in seen:
            yield f"{kind} {item!r} appears twice"
        seen.add(item)
