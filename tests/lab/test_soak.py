"""What a soak run calls growth, and what it calls lost."""

from __future__ import annotations

import attrs
import pytest

from lab.soak import MORE_FILES, MORE_KIB, WARM, Reading, grown, lost

USED = Reading({"exits": 20}, {"exits": 30_000}, {"threads": 0.1})


def test_a_start_is_no_growth() -> None:
    cold = attrs.evolve(USED, files={"exits": 10}, kib={"exits": 10_000})
    assert not list(grown([cold] * (WARM - 1) + [USED] * 3))


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (attrs.evolve(USED, files={"exits": 20 + MORE_FILES + 1}), "exits has 23 open files"),
        (attrs.evolve(USED, kib={"exits": 30_001 + MORE_KIB}), "exits takes 34097 KiB"),
        (attrs.evolve(USED, maps={"threads": 0.61}), "61 % of the map threads"),
    ],
)
def test_growth_after_the_warm_rounds_is_reported(later: Reading, said: str) -> None:
    (sentence,) = grown([*[USED] * WARM, later])
    assert said in sentence


def test_every_watcher_must_count_every_exit() -> None:
    assert not list(lost(499, {"record": 499}))
    assert list(lost(499, {"record": 499, "exits": 498})) == [
        "exits counted 498 CPUID exits of 499"
    ]
