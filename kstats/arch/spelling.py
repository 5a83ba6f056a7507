"""Find the code of a reason's name in any tool's spelling."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from kstats.arch.base import Isa


@lru_cache(maxsize=1 << 12)
def code_of(isa: Isa, text: str) -> int | None:
    """Return the code of a name in any case and spelling, or None if ``isa`` has no such name."""
    return codes(isa).get(normalize(isa, text))


def integer(text: str) -> int | None:
    """Return the value of ``48``, ``0x30`` or ``-1``, as tracers print fields, or None."""
    if not re.fullmatch(r"-?(?:0x[0-9a-f]{1,16}|[0-9]{1,20})", text):
        return None
    return int(text, 16 if "x" in text else 10)


def normalize(isa: Isa, text: str) -> str:
    """Return a name in upper case, with ``_`` between words, without the headers' prefixes."""
    upper = "_".join(text.replace("-", " ").split()).upper()
    for prefix in isa.spellings.prefixes:
        if upper.startswith(prefix) and len(upper) > len(prefix):
            return upper.removeprefix(prefix)
    return upper


@cache
def codes(isa: Isa) -> dict[str, int]:
    """Return the code of every name, as :func:`normalize` spells it."""
    by_name = {reason.name: code for code, reason in isa.reasons.items()}
    aliases = {alias: by_name[name] for alias, name in isa.spellings.aliases.items()}
    return aliases | {normalize(isa, name): code for name, code in by_name.items()}
