"""Find the code of a reason's name in any tool's spelling."""

from __future__ import annotations

import re
from functools import cache

from kstats.arch.base import Isa


def code_of(isa: Isa, text: str) -> int | None:
    """Return the code of a name in any case and spelling, or None if ``isa`` has no such name."""
    return codes(isa).get(normalize(isa, text))


def normalize(isa: Isa, text: str) -> str:
    """Return a name in upper case, with ``_`` between words, without the headers' prefixes."""
    upper = re.sub(r"[\s-]+", "_", text.strip()).upper()
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
