"""The option ``--reason``: what its value means on some ISAs."""

from __future__ import annotations

from collections.abc import Iterable

from kstats import arch as arches
from kstats.arch import lookup
from kstats.model import Code


def codes(text: str, isas: Iterable[str] = ()) -> set[Code]:
    """Return the exits that ``npf,io``, ``0x7b``, a column or a category mean.

    ``isas`` limits them to these ISAs; none means all.

    Raises:
        UnknownReasonError: No reason has this name.
        UnknownNameError: There is no such ISA.
    """
    wanted = tuple(map(arches.isa, isas)) or None
    named = [lookup.meant(name.strip(), wanted) for name in text.split(",")]
    return {(isa.name, reason.code) for found in named for isa, reason in found}
