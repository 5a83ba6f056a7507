"""Choose the ISA of a file: the one that explains most of its exits.

Every format has a function ``clues`` that yields a :class:`Clue` for each exit, or for each row of
a table, that its lines name. It reads the first lines of a file before the ISA is known::

    def clues(lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
        for name, count in _rows(lines):
            yield by_name(isas, name, count)

Numbers are no evidence: most are codes of several ISAs.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from kstats.arch.base import Isa
from kstats.arch.spelling import code_of, normalize

NAMELESS = frozenset({"UNKNOWN", "UNKNOWN_EC", "N/A", "?", "(NULL)"})
"""What tools print for a code without a name."""


_ENOUGH = 8
"""Certain exits of one ISA alone that decide at once: a live trace is shown as it comes."""


class Fit(enum.IntEnum):
    """How well an ISA explains an exit."""

    KNOWN = 1
    """The ISA has a reason of this name, in some spelling."""

    EXACT = 2
    """The name is in the spelling of the kernel or of the kernel's headers."""

    CERTAIN = 3
    """The text is exactly what a kernel prints for this ISA, and for no other."""


@attrs.frozen
class Clue:
    """The ISAs that explain ``count`` exits of one name; an ISA that does not is missing."""

    fits: Mapping[str, Fit]
    count: int = 1


@attrs.frozen
class Choice:
    """The ISA of a file; ``guess`` says in one line why it is only a guess, if it is."""

    isa: Isa
    guess: str = ""


def is_nameless(isa: Isa, name: str) -> bool:
    """Return whether a tool prints ``name`` for exits that have no name, and ``isa`` does not.

    ``UNKNOWN`` is the name of an exit of ARM64, but other tools print it for any nameless code.
    """
    return name.strip().upper() in NAMELESS and code_of(isa, name) is None


def fit(isa: Isa, name: str) -> Fit | None:
    """Return how well ``isa`` explains a tool's name of an exit; None if it does not."""
    code = code_of(isa, name)
    if code is None or name.strip().upper() in NAMELESS:
        return None
    kernel, _, _ = isa.reasons[code].name.partition(":")
    is_exact = name == kernel or name.upper() != normalize(isa, name)
    return Fit.EXACT if is_exact else Fit.KNOWN


def by_name(isas: Iterable[Isa], name: str, count: int = 1) -> Clue:
    """Return which ISAs explain ``count`` exits that a tool calls ``name``."""
    found = ((isa.name, fit(isa, name)) for isa in isas)
    return Clue({isa: how for isa, how in found if how is not None}, count)


def choose(isas: tuple[Isa, ...], clues: Iterable[Clue]) -> Choice | None:
    """Return the ISA that explains most exits; None if no ISA explains more than every other.

    Of ISAs that explain as many, the one with more names in its own spelling is chosen. This is a
    guess, unless a kernel printed the names. The clues are not all read if the first are certain.
    """
    weights: dict[str, Counter[Fit]] = {isa.name: Counter() for isa in isas}
    for clue in clues:
        for isa, how in clue.fits.items():
            weights[isa][how] += clue.count
        certain = [isa for isa in isas if weights[isa.name][Fit.CERTAIN]]
        if len(certain) == 1 and weights[certain[0].name][Fit.CERTAIN] >= _ENOUGH:
            return Choice(certain[0])
    scores = {isa: (w.total(), w.total() - w[Fit.KNOWN]) for isa, w in weights.items()}
    first, *others = sorted(isas, key=lambda isa: scores[isa.name], reverse=True)
    known, exact = scores[first.name]
    equal = [isa.name for isa in others if scores[isa.name][0] == known]
    if not known or any(scores[name][1] == exact for name in equal):
        return None
    if not equal or weights[first.name][Fit.CERTAIN]:
        return Choice(first)
    return Choice(
        first,
        f"the ISA is a guess: {first.name}, by the spelling of names that"
        f" {' and '.join(equal)} also has; --isa overrides it",
    )
