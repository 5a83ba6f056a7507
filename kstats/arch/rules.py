"""The rules of the contract that every :class:`~kstats.arch.base.Arch` keeps.

A rule takes an architecture and yields what is wrong with it, one line each.
"""

from __future__ import annotations

import re
from itertools import chain, groupby
from typing import TYPE_CHECKING

from kstats.arch import kvmstat as kvmstat_columns
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, OTHER, Category, Probe

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from kstats.arch.base import Arch, ExitSource, Isa
    from kstats.arch.kvmstat import Event, Rule

MAX_SLOTS = 2048
"""Counters of one source: they are one value of a BPF map."""

MAX_ARGS = 12
"""Arguments of a raw tracepoint (the kernel's MAX_BPF_FUNC_ARGS)."""

MAX_LINE = 100

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
DEFINE = re.compile(r"[A-Z][A-Z0-9_]*")
READABLE = re.compile(r"[A-Za-z][\w .:-]*", re.ASCII)  # survives CSV, JSON keys and shells
_MEMBER = re.compile(r"\w+(\.\w+)+", re.ASCII)


def names(arch: Arch) -> Iterator[str]:
    """Names are identifiers, and there is something to name."""
    for kind, name in [("architecture", arch.name), *(("ISA", isa.name) for isa in arch.isas)]:
        if not IDENTIFIER.fullmatch(name):
            yield f"{kind} name {name!r}: lower-case letters, digits and _ only"
    yield from repeated("ISA", (isa.name for isa in arch.isas))
    if not arch.isas:
        yield "no ISA"
    if not arch.machines or isinstance(arch.machines, str):
        yield "machines is not a tuple of what platform.machine() gives"
    for title in (arch.title, *(isa.title for isa in arch.isas)):
        yield from one_line("title", title)


def reasons(arch: Arch) -> Iterator[str]:
    """Reasons stand under their codes, with unique names, in columns and categories we have."""
    columns = {column.key for column in arch.columns}
    for isa in arch.isas:
        yield from repeated(f"{isa.name} name", (r.name for r in isa.reasons.values()))
        for code, reason in isa.reasons.items():
            where = f"{isa.name} {code:#x}"
            if not 0 <= code < 1 << 64:
                yield f"{where}: not a 64-bit code"
            if reason.code != code:
                yield f"{where}: its reason says code {reason.code:#x}"
            if not READABLE.fullmatch(reason.name):
                yield f"{where}: name {reason.name!r} has unusual characters"
            if reason.column not in columns:
                yield f"{where}: no column {reason.column!r}"
            if not isinstance(reason.category, Category):
                yield f"{where}: {reason.category!r} is no category"


def prose(arch: Arch) -> Iterator[str]:
    """Meanings and sources, where given, are one short line."""
    for isa in arch.isas:
        for reason in isa.reasons.values():
            yield from one_line(f"{isa.name} {reason.name}: meaning", reason.meaning or "-")
            yield from one_line(f"{isa.name} {reason.name}: source", reason.source or "-")
    for column in arch.columns:
        yield from one_line(f"column {column.key}: meaning", column.meaning or "-")


def category_notes(arch: Arch) -> Iterator[str]:
    """What an ISA says about categories is about ours, in paragraphs without line breaks."""
    for isa in arch.isas:
        for category, paragraphs in isa.category_notes.items():
            if not isinstance(category, Category):
                yield f"{isa.name}: notes on {category!r}, which is no category"
            if not isinstance(paragraphs, tuple) or not paragraphs:
                yield f"{isa.name}: notes on {category} are not a tuple of paragraphs"
            for text in paragraphs:
                if not text or not text.isprintable():
                    yield f"{isa.name}: a note on {category} is not one paragraph: {text!r}"


def advice(arch: Arch) -> Iterator[str]:
    """Check that advice is complete and short, and that spellings belong to a reason."""
    for isa in arch.isas:
        known = {reason.name for reason in isa.reasons.values()}
        for name in sorted(set(isa.spellings.aliases.values()) - known):
            yield f"{isa.name}: a spelling of {name!r}, but no reason has this name"
        for alias in isa.spellings.aliases:
            if alias != alias.upper() or alias in known:
                yield f"{isa.name}: spelling {alias!r} is not upper case, or is a reason's name"
        for reason in isa.reasons.values():
            given = reason.advice
            if bool(given.causes) != bool(given.remedies):
                yield f"{isa.name} {reason.name}: causes without remedies, or the reverse"
            for line in (*given.causes, *given.remedies):
                yield from one_line(f"{isa.name} {reason.name}: advice", line)


def columns(arch: Arch) -> Iterator[str]:
    """Columns have unique headings, neighbours in a group stay together, ``other`` is last."""
    keys = [column.key for column in arch.columns]
    if keys[-1:] != [OTHER]:
        yield f"the last column is not {OTHER!r}"
    yield from repeated("column", keys)
    yield from repeated("heading", ((column.group, column.label) for column in arch.columns))
    yield from repeated(
        "group", (group for group, _ in groupby(c.group for c in arch.columns) if group)
    )
    for column in arch.columns:
        if not IDENTIFIER.fullmatch(column.key):
            yield f"column {column.key!r}: lower-case letters, digits and _ only"
        if not re.fullmatch(r"[^\s()]+", column.label):
            yield f"column {column.key}: label {column.label!r} is not one word"
    used = {reason.column for isa in arch.isas for reason in isa.reasons.values()}
    for key in keys:
        if key not in used | {OTHER}:
            yield f"column {key}: no code counts under it"


def flags(arch: Arch) -> Iterator[str]:
    """Flags are single bits of the number that no reason uses."""
    for isa in arch.isas:
        if isa.flag_mask & ~NUMBER_MASK:
            yield f"{isa.name}: flag_mask {isa.flag_mask:#x} is beyond the low {NUMBER_BITS} bits"
        if isa.failed_mask & ~isa.flag_mask:
            yield f"{isa.name}: failed_mask {isa.failed_mask:#x} is beyond flag_mask"
        for bit, name in isa.flags.items():
            if bit.bit_count() != 1 or bit & ~isa.flag_mask:
                yield f"{isa.name}: flag {name} ({bit:#x}) is not one bit of flag_mask"
        for code, reason in isa.reasons.items():
            if code & isa.flag_mask:
                yield f"{isa.name}: {reason.name} ({code:#x}) has a bit of flag_mask"


def unknown_codes(arch: Arch) -> Iterator[str]:
    """A code without a name keeps its number and counts under ``other``."""
    for isa in arch.isas:
        for code in _unknown(isa):
            reason = isa.reason(code)
            if reason.code != code or reason.name != f"{isa.name}:{code:#x}":
                yield f"{isa.name}: unknown code {code:#x} becomes {reason.name!r}"
            if reason.column != OTHER or reason.category is not Category.OTHER:
                yield f"{isa.name}: unknown code {code:#x} counts under {reason.column!r}"


def _unknown(isa: Isa) -> list[int]:
    numbers = (n for n in range(1 << 16) if n not in isa.reasons)
    first = next(numbers)
    candidates = [first, first | isa.flag_mask, (1 << 64) - 1]
    return [code for code in candidates if code not in isa.reasons]


def tables(arch: Arch) -> Iterator[str]:
    """Each ISA says once where the kernel prints a table of its names."""
    for isa in arch.isas:
        yield from repeated(f"{isa.name} table", ((t.kind, t.expression) for t in isa.tables))
        for table in isa.tables:
            if not 0 <= table.qualifier < 1 << NUMBER_BITS:
                yield f"{isa.name}: qualifier {table.qualifier:#x} has more than 32 bits"


def sources(arch: Arch) -> Iterator[str]:
    """Each source has an ISA of ours and slots that fit; modules and CPU flags tell them apart."""
    known = {isa.name for isa in arch.isas}
    yield from repeated("source of ISA", (source.isa for source in arch.sources))
    yield from repeated("source define", (source.define for source in arch.sources))
    yield from repeated("cpu_flag", (source.cpu_flag for source in arch.sources))
    yield from repeated("module", chain.from_iterable(s.modules for s in arch.sources))
    for source in arch.sources:
        if source.isa not in known:
            yield f"source of an ISA {source.isa!r} that is not there"
        if len(arch.sources) > 1 and not (source.modules and source.cpu_flag):
            yield f"source {source.isa}: no modules or no cpu_flag to tell it from the others"
        yield from _slots(source)


def _slots(source: ExitSource) -> Iterator[str]:
    total, end = 0, 0
    for slot in sorted(source.slots, key=lambda slot: slot.first):
        if slot.count < 1 or slot.first + slot.count > 1 << 64:
            yield f"source {source.isa}: {slot} is empty or beyond 64 bits"
        if slot.first < end:
            yield f"source {source.isa}: {slot} overlaps another"
        end = slot.first + slot.count
        total += slot.count
    if not 0 < total <= MAX_SLOTS:
        yield f"source {source.isa}: {total} slots, 1 to {MAX_SLOTS} are possible"


def probes(arch: Arch) -> Iterator[str]:
    """Each source has probes that say all the C code needs, in names the C code can use."""
    for source in arch.sources:
        if source.define and not DEFINE.fullmatch(source.define):
            yield f"source {source.isa}: {source.define!r} is no preprocessor name"
        if not source.probes:
            yield f"source {source.isa}: no probe"
        yield from repeated(f"source {source.isa}: probe", (p.name for p in source.probes))
        yield from repeated(f"source {source.isa}: define", (p.define for p in source.probes))
        for probe in source.probes:
            where = f"source {source.isa}: probe {probe.name}"
            yield from (f"{where}: {problem}" for problem in probe_problems(probe))


def probe_problems(probe: Probe) -> Iterator[str]:
    """What is wrong with one probe."""
    if probe.attach == "raw":
        if probe.args is None or not 0 <= probe.args <= MAX_ARGS:
            yield "a raw tracepoint needs the number of its arguments (args)"
        if probe.record:
            yield "a raw tracepoint has no record"
    elif probe.attach == "classic":
        if not probe.record:
            yield "a classic tracepoint needs fields of its record"
        if probe.args is not None or probe.btf or probe.direct:
            yield "a classic tracepoint has neither args nor btf, and no direct loads"
    else:
        yield f"attach is {probe.attach!r}, not raw or classic"
    yield from (
        f"{word!r} is no preprocessor name" for word in defines(probe) if not DEFINE.fullmatch(word)
    )
    for field in probe.btf:
        if not field.paths:
            yield f"{field.define}: no path"
        yield from (
            f"{path!r} is not struct.member" for path in field.paths if not _MEMBER.fullmatch(path)
        )


def c_file(arch: Arch) -> Iterator[str]:
    """The C file is there and knows every name that the sources will define for it."""
    if not arch.sources:
        return
    if arch.bpf is None or not arch.bpf.is_file():
        yield f"no C file ({arch.bpf}) for the sources"
        return
    words = set(re.findall(r"\w+", arch.bpf.read_text(encoding="utf-8")))
    needed = {"exit_code"} | {source.define for source in arch.sources if source.define}
    for source in arch.sources:
        needed.update(*(defines(probe) for probe in source.probes))
    for word in sorted(needed - words):
        yield f"{arch.bpf.name} does not mention {word}"


def silent_modules(arch: Arch) -> Iterator[str]:
    """Modules known to be silent are none that a source counts on, and have advice."""
    counted = set(chain.from_iterable(source.modules for source in arch.sources))
    for module, advice in arch.silent_modules.items():
        if module in counted:
            yield f"module {module} is silent and has a source"
        if not advice or not advice.isprintable():
            yield f"module {module}: no advice of one line"


def kvmstat(arch: Arch) -> Iterator[str]:
    """Each ISA's rules, if there are any, are kvmstat's columns; each counts or says why not."""
    for name, rules in arch.kvmstat.items():
        isa = arch.isa(name)
        if isa is None:
            yield f"kvmstat of an ISA {name!r} that is not there"
            continue
        if tuple(rule.column for rule in rules) != kvmstat_columns.COLUMNS:
            yield f"kvmstat {name}: the columns are not {' '.join(kvmstat_columns.COLUMNS)}"
        for rule in rules:
            where = f"kvmstat {name} {rule.column}"
            yield from (f"{where}: {problem}" for problem in _kvmstat_rule(rule, isa))


def _kvmstat_rule(rule: Rule, isa: Isa) -> Iterator[str]:
    for code in rule.exits - isa.reasons.keys():
        yield f"no reason has code {code:#x}"
    if rule.is_counted == bool(rule.uncounted):
        yield "it is counted, or uncounted says why not"
    if bool(rule.stats) == bool(rule.unkept):
        yield "it has stats, or unkept says why not"
    if rule.differs and not (rule.is_counted and rule.stats):
        yield "differs, but there are no two sources"
    for name in (*rule.stats, *(event.tracepoint for event in rule.events)):
        if not IDENTIFIER.fullmatch(name):
            yield f"{name!r} is no name of the kernel"
    for event in rule.events:
        yield from _event(event)
    yield from one_line("meaning", rule.meaning)
    for text in (rule.uncounted, rule.unkept, rule.differs):
        yield from one_line("an explanation", text or "-")


def _event(event: Event) -> Iterator[str]:
    if (event.arg is None) == bool(event.values):
        yield f"{event.tracepoint}: an argument and its values go together"
    if event.arg is not None and not 0 <= event.arg < MAX_ARGS:
        yield f"{event.tracepoint}: argument {event.arg} is not one of {MAX_ARGS}"


def defines(probe: Probe) -> list[str]:
    """The preprocessor names that a probe gives to the C code."""
    return [probe.define, *(f.define for f in probe.btf), *(f.define for f in probe.record)]


def repeated(kind: str, items: Iterable[Hashable]) -> Iterator[str]:
    """The items that are there more than once."""
    seen = set()
    for item in items:
        if item in seen:
            yield f"{kind} {item!r} twice"
        seen.add(item)


def one_line(what: str, text: str) -> Iterator[str]:
    """Text that is not one short line."""
    if not 0 < len(text) <= MAX_LINE or not text.isprintable():
        yield f"{what} is not one line of 1 to {MAX_LINE} characters: {text!r}"
