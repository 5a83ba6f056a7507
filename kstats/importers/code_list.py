"""Read a list of codes or names, one per line, each optionally followed by a count.

::

48
vmx:0x1e 17
EPT_VIOLATION,3
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.spelling import code_of
from kstats.importers.evidence import Clue, Fit, by_name
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import SampleBuilder
from kstats.model import Sample

_MOST_DIGITS = 18


def fits(text: str) -> bool:
    """Return whether the line is a code or name of some ISA, with or without a count."""
    return any(_parse(isa, text.strip()) for isa in lookup.isas())


def clues(lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
    """Yield a clue for each name, and for each code that names its ISA."""
    for line in lines:
        what, count = _split(line.text.strip())
        by_isa, _, _ = what.partition(":")
        named = {isa.name: Fit.EXACT for isa in isas if isa.name == by_isa.lower()}
        yield Clue(named, count) if named else by_name(isas, what, count)


def read(
    lines: Iterable[Line], isa: Isa, problems: Problems, _interval: float | None
) -> Iterator[Sample]:
    """Yield one sample without time, CPU or thread."""
    builder = SampleBuilder(isa)
    for line in lines:
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        found = _parse(isa, text) if line.whole else None
        if found:
            builder.exits(*found)
        elif not (line.whole and builder.named("codes", *_split(text), problems)):
            problems.add(line, _split(text)[1])
    yield builder.sample(0, 0)


def _split(text: str) -> tuple[str, int]:
    """Return what is before a count, and the count; without a count, the text and 1."""
    what, _, count = text.replace(",", " ").replace(";", " ").rpartition(" ")
    if what.strip() and count.isascii() and count.isdigit() and len(count) <= _MOST_DIGITS:
        return text[: len(what)].rstrip(" ,;"), int(count)
    return text, 1


def _parse(isa: Isa, text: str) -> tuple[int, int] | None:
    """Return code and count; a number need not be a known code."""
    code = _code(isa, text)
    if code is not None:
        return code, 1
    what, count = _split(text)
    code = _code(isa, what)
    return None if code is None else (code, count)


def _code(isa: Isa, text: str) -> int | None:
    prefix, colon, rest = text.partition(":")
    plain = rest if colon and prefix.lower() == isa.name else text
    code = lookup.number(plain)
    return code_of(isa, plain) if code is None else code
