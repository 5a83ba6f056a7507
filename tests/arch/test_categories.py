"""What categories mean: said for each of them, by the ISAs that have something to say."""

from __future__ import annotations

import attrs

from kstats import arch
from kstats.arch import categories
from kstats.arch.base import Category, Isa

ISAS = [isa for one in arch.arches() for isa in one.isas]


def isa(name: str) -> Isa:
    """One of ours."""
    return next(one for one in ISAS if one.name == name)


def test_every_category_has_a_meaning() -> None:
    assert list(categories.MEANINGS) == list(Category)
    assert all(meaning.summary for meaning in categories.MEANINGS.values())


def test_a_category_that_an_isa_has_no_reason_in_says_so_there() -> None:
    """Whoever sees no figure finds out why."""
    for one in ISAS:
        for category in set(Category) - categories.possible(one):
            assert one.category_notes[category]


def test_arm64_has_neither_ports_nor_a_code_for_spinning() -> None:
    assert set(Category) - categories.possible(isa("arm64")) == {Category.IO, Category.SPIN}
    assert categories.possible(isa("vmx")) == categories.possible(isa("svm")) == set(Category)


def test_what_two_isas_say_alike_is_said_once() -> None:
    one = attrs.evolve(isa("vmx"), title="One", category_notes={Category.IO: ("same", "own")})
    two = attrs.evolve(isa("svm"), title="Two", category_notes={Category.IO: ("same",)})
    assert categories.notes(Category.IO, [one, two]) == [("One, Two", "same"), ("One", "own")]
    assert categories.notes(Category.MEMORY, [one, two]) == []
