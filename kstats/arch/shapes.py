"""The tables of exit codes in the shapes that programs take.

Objects are what ``kstats/arch/arch.schema.json`` describes.
"""

from __future__ import annotations

from typing import Any

import attrs

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, Advice, Arch, Column, Isa, Reason

_NO_ADVICE = Advice((), ())


def advice(isa: Isa, reason: Reason) -> Advice:
    """Causes and cures of a reason; both are empty where nothing is written."""
    base = isa.reasons.get(reason.code & ~isa.flag_mask, reason)
    return isa.advice.get(base.name, _NO_ADVICE)


def reason_object(isa: Isa, reason: Reason) -> dict[str, Any]:
    """A reason with everything that is known of it."""
    known = advice(isa, reason)
    return {
        "isa": isa.name,
        "code": reason.code & NUMBER_MASK,
        "qualifier": reason.code >> NUMBER_BITS,
        "reason": reason.name,
        "column": reason.column,
        "category": str(reason.category),
        "meaning": reason.meaning,
        "source": reason.source,
        "causes": list(known.causes),
        "cures": list(known.cures),
    }


def arch_object(arch: Arch, isas: tuple[Isa, ...]) -> dict[str, Any]:
    """An architecture with its columns, and those of its ISAs that are asked for."""
    return {
        "arch": arch.name,
        "title": arch.title,
        "machines": list(arch.machines),
        "columns": [_column(column) for column in arch.columns],
        "isas": [_isa(isa) for isa in isas],
    }


def _column(column: Column) -> dict[str, Any]:
    return attrs.asdict(column)


def _isa(isa: Isa) -> dict[str, Any]:
    return {
        "isa": isa.name,
        "title": isa.title,
        "flag_mask": isa.flag_mask,
        "flags": [{"bit": bit, "name": name} for bit, name in isa.flags.items()],
        "reasons": [reason_object(isa, isa.reasons[code]) for code in sorted(isa.reasons)],
    }
