"""Joins an ISA's tables (names, columns, categories, meanings) into its reasons.

An ISA is written down by name, because names are what people read and check; the codes are in
the generated name tables alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kstats.arch.base import OTHER, Category, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Key = TypeVar("Key", str, Category)


def reasons(
    names: Mapping[int, str],
    columns: Mapping[str, Iterable[str]],
    categories: Mapping[Category, Iterable[str]],
    meanings: Mapping[str, tuple[str, str]],
) -> dict[int, Reason]:
    """The reasons of ``names`` ({code: name}).

    ``columns`` and ``categories`` list the names under each; a name in none is ``other``.
    ``meanings`` has {name: (meaning, source)}. Raises ValueError for a name that ``names``
    lacks or that is under two columns or categories.
    """
    known = frozenset(names.values())
    column_of = _inverse(columns, known)
    category_of = _inverse(categories, known)
    if extra := meanings.keys() - known:
        raise ValueError(f"meanings without a code: {', '.join(sorted(extra))}")
    return {
        code: Reason(
            code,
            name,
            column_of.get(name, OTHER),
            category_of.get(name, Category.OTHER),
            *meanings.get(name, ("", "")),
        )
        for code, name in names.items()
    }


def _inverse(groups: Mapping[Key, Iterable[str]], known: frozenset[str]) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for key, names in groups.items():
        for name in names:
            if name not in known:
                raise ValueError(f"{key}: no code is called {name!r}")
            if name in found:
                raise ValueError(f"{name!r} is under {found[name]} and {key}")
            found[name] = key
    return found
