"""Our values as JSON has them. The way back, by the types of what is wanted, is structure.py."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from kstats.model import Place


def plain(value: Any) -> Any:
    """``value`` of attrs classes, mappings, tuples, sets, enums, numbers and texts for JSON.

    A mapping becomes a list of pairs, since its keys need not be texts.
    """
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if attrs.has(type(value)):
        return {f.name: plain(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Place):  # most have no detail
        return list(value if value.detail is not None else value[:2])
    if isinstance(value, Mapping):
        return [[plain(key), plain(item)] for key, item in value.items()]
    if isinstance(value, frozenset | set):
        return sorted(map(plain, value))
    return [plain(item) for item in value]
