"""The values that answer a question: exit reasons, and terms of other kinds."""

from collections.abc import Sequence
from typing import NamedTuple

from kstats.arch import lookup
from kstats.arch.base import Isa
from kstats.arch.lookup import Found

Isas = Sequence[Isa] | None
"""The ISAs that are asked about; None for all."""


class Term(NamedTuple):
    """Something that is not an exit reason, and what it has to do with exits.

    Attributes:
        kind: What it is, for people: ``KVM statistic``.
        name: What it is called.
        meaning: One sentence.
        exits: The reasons that it is about, of the ISAs that are asked about.
        causes: Why it happens.
        remedies: What to do, or what else to know.
        source: The manual, or the file of the kernel or the VMM.
    """

    kind: str
    name: str
    meaning: str
    exits: tuple[Found, ...] = ()
    causes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    source: str = ""


Answer = Term | Found


def key(answer: Answer) -> tuple[str, str, int]:
    """Return what distinguishes an answer from any other one."""
    if isinstance(answer, Term):
        return answer.kind, f"{answer.name}: {answer.meaning}", 0
    isa, reason = answer
    return "", isa.name, reason.code


def exits(references: str, wanted: Isas) -> tuple[Found, ...]:
    """Return the reasons that ``vmx:48 svm:npf`` means, of the ISAs in ``wanted``.

    A number is a code without a qualifier: ``arm64:1`` is a trap and not a return code.
    """
    return tuple(one for word in references.split() for one in _of_isa(word, wanted))


def _of_isa(word: str, wanted: Isas) -> Sequence[Found]:
    by_isa, _, rest = word.partition(":")
    chosen = tuple(isa for isa in wanted or lookup.isas() if isa.name == by_isa)
    code = lookup.number(rest)
    if code is None:
        return lookup.matches(rest, chosen)
    return [(isa, isa.reason(code)) for isa in chosen]


def concerns(references: str, wanted: Isas) -> bool:
    """Return whether a term is about one of the ISAs in ``wanted``, or about none at all."""
    return not references or bool(exits(references, wanted))
