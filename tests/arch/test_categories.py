"""Every category has a meaning, and ISAs explain their own."""

from __future__ import annotations

from kstats import arch
from kstats.arch import categories
from kstats.arch.base import Category

ISAS = [isa for one in arch.BUILT_IN for isa in one.isas]


def test_every_category_has_a_meaning() -> None:
    assert list(categories.MEANINGS) == list(Category)
    assert all(meaning.summary for meaning in categories.MEANINGS.values())


def test_an_isa_explains_each_category_without_reasons() -> None:
    """So that a reader of an empty cell learns why it is empty."""
    for one in ISAS:
        for category in set(Category) - categories.possible(one):
            assert one.category_notes[category]


def test_arm64_has_neither_ports_nor_a_code_for_spinning() -> None:
    assert set(Category) - categories.possible(arch.isa("arm64")) == {Category.IO, Category.SPIN}
    assert categories.possible(arch.isa("vmx")) == set(Category)
    assert categories.possible(arch.isa("svm")) == set(Category)


def test_a_note_that_two_isas_share_appears_once() -> None:
    one = ISAS[0]._replace(title="One", category_notes={Category.IO: ("same", "own")})
    two = ISAS[1]._replace(title="Two", category_notes={Category.IO: ("same",)})
    assert categories.notes(Category.IO, [one, two]) == [("One, Two", "same"), ("One", "own")]
    assert categories.notes(Category.MEMORY, [one, two]) == []
