"""The rules of the contract about details: what kstats.arch.rules is for the rest."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from kstats import csource
from kstats.arch.details import NUMBER_BITS
from kstats.arch.rules import (
    DEFINE,
    IDENTIFIER,
    READABLE,
    defines,
    one_line,
    probe_problems,
    repeated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from kstats.arch.base import Arch, DetailSource, ExitSource
    from kstats.arch.details import Detail


def kinds(arch: Arch) -> Iterator[str]:
    """Each kind of detail has a name, codes, and names of numbers that a detail can hold."""
    for isa in arch.isas:
        yield from repeated(f"{isa.name} detail", (detail.name for detail in isa.details))
        for detail in isa.details:
            where = f"{isa.name} detail {detail.name}"
            yield from (f"{where}: {problem}" for problem in _kind(detail))


def _kind(detail: Detail) -> Iterator[str]:
    if not IDENTIFIER.fullmatch(detail.name):
        yield "lower-case letters, digits and _ only"
    if not detail.codes:
        yield "no code has it"
    yield from one_line("meaning", detail.meaning)
    for number, name in detail.names().items():
        if not 0 <= number < 1 << NUMBER_BITS:
            yield f"{name}: {number:#x} has more than {NUMBER_BITS} bits"
        if not READABLE.fullmatch(name):
            yield f"name {name!r} has unusual characters"


def sources(arch: Arch) -> Iterator[str]:
    """Each way to a detail is one to a kind of the ISA, with all that the C code needs."""
    for source in arch.sources:
        isa = arch.isa(source.isa)
        known = {detail.name for detail in isa.details} if isa else set()
        yield from repeated(f"source {source.isa}: detail", (d.name for d in source.details))
        for detail in source.details:
            where = f"source {source.isa}: detail {detail.name}"
            if detail.name not in known:
                yield f"{where}: the ISA has no such detail"
            yield from (f"{where}: {problem}" for problem in _source(detail, source))


def _source(detail: DetailSource, source: ExitSource) -> Iterator[str]:
    if not detail.probes:
        yield "no probe"
    if not detail.defines:
        yield "no preprocessor name selects it"
    for probe in detail.probes:
        if probe.name not in {known.name for known in source.probes}:
            yield f"probe {probe.name!r} is none of the source's"
        yield from (f"probe {probe.name}: {problem}" for problem in probe_problems(probe))
    for word in _words(detail):
        if not DEFINE.fullmatch(word):
            yield f"{word!r} is no preprocessor name"
    for event in detail.events:
        if not IDENTIFIER.fullmatch(event.tracepoint):
            yield f"{event.tracepoint!r} is no name of the kernel"


def c_file(arch: Arch) -> Iterator[str]:
    """The C files are there and know every name that they will be given."""
    details = [detail for source in arch.sources for detail in source.details]
    if not details:
        return
    if arch.bpf is None or arch.bpf_detail is None or not arch.bpf_detail.is_file():
        yield f"no C file ({arch.bpf_detail}) for the details"
        return
    own = _words_of(arch.bpf, arch.bpf_detail)
    functions = {event.function for detail in details for event in detail.events}
    needed = set(chain.from_iterable(map(_words, details)))
    for detail in details:
        needed.update(*map(defines, detail.probes))
    shared = _words_of(csource.directory() / "kstats.h")
    for word in sorted(({"exit_detail", *functions} - own) | (needed - own - shared)):
        yield f"{arch.bpf_detail.name} does not mention {word}"


def _words_of(*files: Traversable) -> set[str]:
    return {w for file in files for w in re.findall(r"\w+", file.read_text(encoding="utf-8"))}


def _words(detail: DetailSource) -> list[str]:
    return [*detail.defines, *(event.args for event in detail.events if event.args)]
