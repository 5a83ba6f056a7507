"""A bare list of codes or names, one a line, each with a count behind it or without.

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
from kstats.importers.sample_builder import Tally
from kstats.model import Sample

_COUNTED = re.compile(r"(?P<what>\S.*?)[\s,;]+(?P<count>\d{1,18})", re.ASCII)


def fits(text: str) -> bool:
    """Whether the line is nothing but a code or a name of some ISA, and perhaps a count."""
    return any(_told(isa, text.strip()) for isa in lookup.isas())


def speaks(isa: Isa, text: str) -> bool:
    """Whether the line names this ISA, or an exit of it; a number alone may be of any."""
    told = _told(isa, text.strip())
    number = re.match(r"0x|\d", text.strip(), re.ASCII)
    return told is not None and not number


def read(
    lines: Iterable[Line], isa: Isa, problems: Problems, _interval: float | None
) -> Iterator[Sample]:
    """One sample with everything, of no time and no place."""
    tally = Tally(isa)
    for line in lines:
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        told = _told(isa, text) if line.whole else None
        if told is None:
            problems.add(line)
        else:
            tally.exits(*told)
    yield tally.sample(0, 0)


def _told(isa: Isa, text: str) -> tuple[int, int] | None:
    """Code and count; a code that is only a number need not be known."""
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
