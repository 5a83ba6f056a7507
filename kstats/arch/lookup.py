"""Find reasons by number or by name, in the spelling of any tool.

::

    find("vmx:48"), find("0x30"), find("EPT_VIOLATION"), find("npf"), find("msr:rd")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from kstats import arch as arches
from kstats.arch.base import NUMBER_MASK, Arch, Category, Column, Isa, Reason
from kstats.arch.spelling import code_of, codes, normalize
from kstats.errors import KstatsError, UnknownNameError

Found = tuple[Isa, Reason]

_NUMBER = r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}"
_HIGHEST = (1 << 64) - 1
_CATEGORIES = frozenset(Category)


class UnknownReasonError(KstatsError, LookupError):
    """No reason has this name or number; ``close`` has similar names."""

    status = 2

    def __init__(self, text: str, close: list[str], among: Sequence[Isa] = ()) -> None:
        self.text = text
        self.close = close
        hint = "kstats arch lists every name; kstats explain --search TEXT searches the meanings"
        hint = f"did you mean {', '.join(close)}?" if close else hint
        isas = f" for {' or '.join(isa.title for isa in among)}" if among else ""
        super().__init__(f"unknown exit reason {text!r}{isas}", hint)


def isas(name: str | None = None) -> tuple[Isa, ...]:
    """Return every ISA, or those with a name in any case: ``svm``, ``AMD``, ``x64``, ``aarch64``.

    The name is that of an ISA, a word of its title, or an architecture, also as ``uname -m``
    prints it.

    Raises:
        UnknownNameError: no ISA or architecture has the name.
    """
    every = tuple(isa for arch in arches.arches() for isa in arch.isas)
    if name is None:
        return every
    wanted = name.lower()
    for arch in arches.arches():
        if wanted.replace("-", "_") in (arch.name, *arch.machines):
            return arch.isas
    named = tuple(isa for isa in every if wanted in (isa.name, *isa.title.lower().split()))
    if len(named) != 1:
        known = [isa.name for isa in every] + [arch.name for arch in arches.arches()]
        raise UnknownNameError("ISA", name, tuple(dict.fromkeys(known)))
    return named


def arch_of(isa: Isa) -> Arch:
    """Return the architecture of ``isa``."""
    return next(arch for arch in arches.arches() if arch.isa(isa.name) is isa)


def number(text: str) -> int | None:
    """Parse a code, decimal or ``0x…``, below 2**64; return None if ``text`` is not a code."""
    value = (
        int(text, 0 if text[:2] in ("0x", "0X") else 10) if re.fullmatch(_NUMBER, text) else None
    )
    return value if value is None or value <= _HIGHEST else None


def find(text: str, wanted: tuple[Isa, ...] | None = None) -> list[Found]:
    """Return every reason that ``text`` can mean, of the ISAs ``wanted`` or of all.

    ``ISA:CODE`` always means one reason, even if the code has no name. A number without an ISA
    means the known codes with this number and any qualifier.

    Raises:
        UnknownReasonError: nothing matches.
    """
    found = matches(text, wanted)
    if not found:
        among = isas() if wanted is None else wanted
        by_isa, _, rest = text.partition(":")
        chosen = tuple(isa for isa in among if isa.name == by_isa.lower() and rest)
        raise UnknownReasonError(
            text, close(rest if chosen else text, chosen or among), () if chosen else wanted or ()
        )
    return found


def matches(text: str, wanted: tuple[Isa, ...] | None = None) -> list[Found]:
    """Return what :func:`find` returns, or an empty list if nothing matches."""
    among = isas() if wanted is None else wanted
    by_isa, colon, rest = text.partition(":")
    chosen = [isa for isa in among if isa.name == by_isa.lower()] if colon else []
    if chosen:
        return _of_isa(chosen[0], rest)
    found = [(isa, reason) for isa in among for reason in _named_or_numbered(isa, text)]
    code = number(text)
    if not found and code is not None and wanted is not None and len(wanted) == 1:
        found = [(wanted[0], wanted[0].reason(code))]
    return found


def meant(text: str, wanted: Iterable[Isa] | None = None) -> list[Found]:
    """Return what :func:`find` returns; for an ISA without a match, what :func:`group` yields.

    Raises:
        UnknownReasonError: nothing matches.
    """
    among = isas() if wanted is None else tuple(wanted)
    found = [one for isa in among for one in _found_or_grouped(text, isa)]
    return found or find(text, None if wanted is None else among)


def _found_or_grouped(text: str, isa: Isa) -> list[Found]:
    try:
        return find(text, (isa,))
    except UnknownReasonError:
        return list(group(text, (isa,)))


def group(text: str, wanted: Iterable[Isa] | None = None) -> Iterator[Found]:
    """Yield the reasons of a column or category; ``ISA:GROUP`` selects one ISA.

    ``text`` names a column by its key, as tables show it (``msr(rd)``), or together with its
    neighbours (``msr``).
    """
    among = isas() if wanted is None else tuple(wanted)
    by_isa, _, rest = text.lower().partition(":")
    chosen = [isa for isa in among if isa.name == by_isa and rest]
    key = rest if chosen else text.lower()
    for isa in chosen or among:
        columns = arches.columns(arch_of(isa))
        called = {c.key for c in columns if key in (c.key, c.group, shown(c))} if key else set()
        if called or key in _CATEGORIES:
            for _, reason in sorted(isa.reasons.items()):
                if reason.column in called or key == reason.category:
                    yield isa, reason


def search(text: str, wanted: Iterable[Isa] | None = None) -> list[Found]:
    """Return the reasons that have every word of ``text`` in their name, meaning or advice.

    A word matches at the start of a word, in any case: ``time`` finds ``timers``. Matches in a
    name come first, then those in a meaning, then those in advice; each in the order of codes.
    The list is empty if ``text`` has no words.
    """
    words = [re.compile(rf"(?<![^\W_]){re.escape(word)}", re.IGNORECASE) for word in _words(text)]
    ranked: list[list[Found]] = [[], [], []]
    for isa in isas() if wanted is None else wanted:
        for _, reason in sorted(isa.reasons.items()):
            advice = " ".join((*reason.advice.causes, *reason.advice.remedies))
            texts = [reason.name, reason.meaning, advice]
            for rank, found in enumerate(ranked):
                if words and all(word.search(" ".join(texts[: rank + 1])) for word in words):
                    found.append((isa, reason))
                    break
    return [found for of_rank in ranked for found in of_rank]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def with_advice(wanted: Iterable[Isa] | None = None) -> dict[Category, list[Found]]:
    """Return the reasons that have advice (those that matter to operators), by category.

    Categories are in their order, without empty ones; reasons in the order of ISAs and codes.
    """
    found: dict[Category, list[Found]] = {category: [] for category in Category}
    for isa in isas() if wanted is None else wanted:
        for _, reason in sorted(isa.reasons.items()):
            if reason.advice.causes:
                found[reason.category].append((isa, reason))
    return {category: reasons for category, reasons in found.items() if reasons}


def shown(column: Column) -> str:
    """Return the heading of a column as tables show it: ``msr(rd)``."""
    return f"{column.group}({column.label})" if column.group else column.label


def _of_isa(isa: Isa, text: str) -> list[Found]:
    code = number(text)
    if code is not None:
        return [(isa, reason) for reason in _numbered(isa, code)] or [(isa, isa.reason(code))]
    code = code_of(isa, text)
    return [] if code is None else [(isa, reason) for reason in _named(isa, code)]


def _named_or_numbered(isa: Isa, text: str) -> list[Reason]:
    code = number(text)
    if code is not None:
        return _numbered(isa, code)
    code = code_of(isa, text)
    return [] if code is None else _named(isa, code)


def _named(isa: Isa, code: int) -> list[Reason]:
    """Return the reason and its qualified forms: ``msr`` also means ``msr:rd`` and ``msr:wr``."""
    name = isa.reason(code).name
    longer = (r for _, r in sorted(isa.reasons.items()) if r.name.startswith(f"{name}:"))
    return [isa.reason(code), *longer]


def _numbered(isa: Isa, code: int) -> list[Reason]:
    """Return the reasons with this number and any qualifier, else the one with this code."""
    named = [isa.reasons[known] for known in sorted(isa.reasons) if known & NUMBER_MASK == code]
    if named:
        return named
    return [isa.reason(code)] if code & ~isa.flag_mask in isa.reasons else []


def close(text: str, among: Sequence[Isa]) -> list[str]:
    """Return names that contain the text or resemble it, in the kernel's spelling."""
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    found: dict[str, None] = {}
    for isa in among:
        names = codes(isa)
        wanted = normalize(isa, text)
        within = [name for name in names if len(wanted) > 1 and wanted in name]
        within.sort(key=lambda name: not name.startswith(wanted))
        for name in within or get_close_matches(wanted, names, n=2, cutoff=0.7):
            found[isa.reasons[names[name]].name] = None
    return list(found)[:6]
