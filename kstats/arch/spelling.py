"""From a name in any tool's spelling to the code: the inverse of an ISA's reasons."""

from __future__ import annotations

import re
from functools import cache

from kstats.arch.base import Isa


def code_of(isa: Isa, text: str) -> int | None:
    """The code that a name means in ``isa``, in any case or spelling; None if it means none."""
    return codes(isa).get(plain(isa, text))


def plain(isa: Isa, text: str) -> str:
    """One spelling for all: upper case, ``_`` between words, without the headers' prefixes."""
    upper = re.sub(r"[\s-]+", "_", text.strip()).upper()
    for prefix in isa.spellings.prefixes:
        if upper.startswith(prefix) and len(upper) > len(prefix):
            return upper.removeprefix(prefix)
    return upper


@cache
def codes(isa: Isa) -> dict[str, int]:
    """Every :func:`plain` spelling and its code."""
    by_name = {reason.name: code for code, reason in isa.reasons.items()}
    aliases = {alias: by_name[name] for alias, name in isa.spellings.aliases.items()}
    return aliases | {plain(isa, name): code for name, code in by_name.items()}
