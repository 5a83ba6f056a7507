"""The contract of architectures: how the values of an :class:`~kstats.arch.base.Arch` fit together.

The first rule is that each value is valid by itself (:mod:`kstats.arch.valid`); the others check
values against each other and against the C files. A rule yields one line for each problem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain, groupby

from kstats import csource
from kstats.arch import valid
from kstats.arch.base import OTHER, Arch, Category, CFile, ExitSource
from kstats.arch.details import NUMBER_BITS
from kstats.arch.kvmstat import COLUMNS
from kstats.arch.valid import is_line, is_readable, repeated


def check(arch: Arch) -> list[str]:
    """Return what breaks the contract, one line each; empty if nothing does. Never raises."""
    return [problem for rule in RULES for problem in _problems(rule, arch)]


def _problems(rule: Callable[[Arch], Iterator[str]], arch: Arch) -> list[str]:
    try:
        return list(rule(arch))
    except Exception as error:  # noqa: BLE001 - values of wrong types break the rule, too
        return [f"{rule.__name__}: {type(error).__name__}: {error}"]


def values(arch: Arch) -> Iterator[str]:
    """Each value is valid by itself."""
    yield from valid.problems(arch)


def columns(arch: Arch) -> Iterator[str]:
    """Headings are unique, groups stay together, ``other`` is last, and no column is empty."""
    keys = [column.key for column in arch.columns]
    if keys[-1:] != [OTHER]:
        yield f"the last column is not {OTHER!r}"
    yield from repeated("column", keys)
    yield from repeated("heading", ((column.group, column.label) for column in arch.columns))
    groups = (group for group, _ in groupby(column.group for column in arch.columns) if group)
    yield from repeated("group", groups)
    used = {reason.column for isa in arch.isas for reason in isa.reasons.values()} | {OTHER}
    yield from (f"column {key}: no code counts under it" for key in keys if key not in used)
    yield from (f"there is no column {key!r} for its reasons" for key in used - {*keys, OTHER})


def unknown_codes(arch: Arch) -> Iterator[str]:
    """A code without a name keeps its number and counts under ``other``."""
    yield from repeated("ISA", (isa.name for isa in arch.isas))
    for isa in arch.isas:
        first = next(number for number in range(1 << 16) if number not in isa.reasons)
        for code in {first, first | isa.flag_mask, (1 << 64) - 1} - isa.reasons.keys():
            reason = isa.reason(code)
            if reason.code != code or reason.name != f"{isa.name}:{code:#x}":
                yield f"{isa.name}: unknown code {code:#x} becomes {reason.name!r}"
            if reason.column != OTHER or reason.category is not Category.OTHER:
                yield f"{isa.name}: unknown code {code:#x} counts under {reason.column!r}"


def patterns(arch: Arch) -> Iterator[str]:
    """The pattern of each event is a regular expression."""
    for isa in arch.isas:
        try:
            re.compile(isa.event.pattern if isa.event else "")
        except re.error as error:
            yield f"{isa.name}: the pattern of the event is not a regular expression: {error}"


def sources(arch: Arch) -> Iterator[str]:
    """Each source belongs to an ISA, and modules and CPU flags distinguish several sources."""
    yield from repeated("source of ISA", (source.isa for source in arch.sources))
    yield from repeated("source define", (source.define for source in arch.sources))
    yield from repeated("cpu_flag", (source.cpu_flag for source in arch.sources))
    modules = [module for source in arch.sources for module in source.modules]
    yield from repeated("module", modules)
    for source in arch.sources:
        if arch.isa(source.isa) is None:
            yield f"there is a source, but no ISA {source.isa!r}"
        if len(arch.sources) > 1 and not (source.modules and source.cpu_flag):
            yield f"source {source.isa}: several sources need modules and a cpu_flag each"
    for module, advice in arch.silent_modules.items():
        if module in modules:
            yield f"module {module} is silent, but has a source"
        if not is_line(advice[:1]) or not advice.isprintable():
            yield f"module {module} is silent, without advice of one line"


def details(arch: Arch) -> Iterator[str]:
    """Names of details are readable, and sources provide details of their ISA only."""
    for isa in arch.isas:
        for detail in isa.details:
            for number, name in detail.names().items():
                if not is_readable(name) or not 0 <= number < 1 << NUMBER_BITS:
                    yield (
                        f"detail {detail.name}: {name!r} has unusual characters, or {number:#x}"
                        f" more than {NUMBER_BITS} bits"
                    )
    for source in arch.sources:
        found = arch.isa(source.isa)
        for way in source.details:
            if found is None or found.detail(way.name) is None:
                yield f"source {source.isa}: the ISA has no detail {way.name!r}"


def kvmstat(arch: Arch) -> Iterator[str]:
    """The rules of an ISA are those of kvmstat's columns, about codes of the ISA."""
    for name, rules in arch.kvmstat.items():
        isa = arch.isa(name)
        if isa is None:
            yield f"kvmstat: there is no ISA {name!r}"
            continue
        if tuple(rule.column for rule in rules) != COLUMNS:
            yield f"kvmstat {name}: the columns are not {' '.join(COLUMNS)}"
        for rule in rules:
            for code in rule.exits - isa.reasons.keys():
                yield f"kvmstat {name} {rule.column}: no reason has code {code:#x}"


def c_files(arch: Arch) -> Iterator[str]:
    """The C files exist and mention every name that the sources define or call."""
    if not arch.sources:
        return
    yield from _c_file("sources", arch.bpf, {"exit_code"}, _defined(arch.sources))
    found = [detail for source in arch.sources for detail in source.details]
    if not found or arch.bpf is None:
        return
    functions = {event.function for detail in found for event in detail.events}
    names = {name for detail in found for name in detail.defines}
    names |= {event.args for detail in found for event in detail.events if event.args}
    names |= {name for detail in found for probe in detail.probes for name in probe.defines}
    shared = (arch.bpf, csource.File("kstats.h"))
    yield from _c_file("details", arch.bpf_detail, {"exit_detail", *functions}, names, *shared)


def _defined(sources: tuple[ExitSource, ...]) -> set[str]:
    probes = chain.from_iterable(source.probes for source in sources)
    names = {source.define for source in sources if source.define}
    return names.union(*(probe.defines for probe in probes))


def _c_file(
    purpose: str,
    file: CFile | None,
    functions: set[str],
    names: set[str],
    *shared: CFile,
) -> Iterator[str]:
    """Check that ``file`` mentions the functions, and it or a shared file the other names."""
    if file is None or not file.is_file():
        yield f"no C file for the {purpose}: {file}"
        return
    words = _words(file)
    missing = (functions - words) | names.difference(words, *map(_words, shared))
    yield from (f"{file.name} does not mention {word}" for word in sorted(missing))


def _words(file: CFile) -> set[str]:
    return set(re.findall(r"\w+", file.read_text(encoding="utf-8")))


RULES = (values, columns, unknown_codes, patterns, sources, details, kvmstat, c_files)
