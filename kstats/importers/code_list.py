"""Read a list of codes or names, one per line, each optionally followed by a count.

::

48
vmx:0x1e 17
EPT_VIOLATION,3
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.spelling import code_of
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import SampleBuilder
from kstats.model import Sample

_COUNTED = re.compile(r"(?P<what>\S.*?)[\s,;]+(?P<count>\d{1,18})", re.ASCII)


def fits(text: str) -> bool:
    """Return whether the line is a code or name of some ISA, with or without a count."""
    return any(_parse(isa, text.strip()) for isa in lookup.isas())


def speaks(isa: Isa, text: str) -> bool:
    """Return whether the line names this ISA or an exit of it; a bare number may be of any ISA."""
    found = _parse(isa, text.strip())
    number = re.match(r"0x|\d", text.strip(), re.ASCII)
    return found is not None and not number


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
        if found is None:
            problems.add(line)
        else:
            builder.exits(*found)
    yield builder.sample(0, 0)


def _parse(isa: Isa, text: str) -> tuple[int, int] | None:
    """Return code and count; a number need not be a known code."""
    code = _code(isa, text)
    if code is not None:
        return code, 1
    counted = _COUNTED.fullmatch(text)
    code = _code(isa, counted["what"]) if counted else None
    return None if counted is None or code is None else (code, int(counted["count"]))


def _code(isa: Isa, text: str) -> int | None:
    prefix, colon, rest = text.partition(":")
    plain = rest if colon and prefix.lower() == isa.name else text
    code = lookup.number(plain)
    return code_of(isa, plain) if code is None else code
