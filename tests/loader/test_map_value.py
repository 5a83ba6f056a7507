"""Addresses of maps' values in programs, and the counters that are found there."""

from __future__ import annotations

from array import array

import pytest

from kstats.collector import percpu
from kstats.loader import map_value, syscall

LOAD = 0x18
COUNTS = map_value.NUMBERS["counts"]


def test_only_addresses_of_values_get_a_descriptor() -> None:
    address, second = syscall.instruction(LOAD, 2 << 4 | 3, 0, COUNTS), syscall.instruction(0)
    a_map, constant = (
        syscall.instruction(LOAD, 1 << 4 | 1, 0, COUNTS),
        syscall.instruction(LOAD, 1, 0, 7),
    )
    completed = map_value.complete(address + second + a_map + second + constant, {COUNTS: 9})
    expected = syscall.instruction(LOAD, 2 << 4 | 3, 0, 9)
    assert completed == expected + second + a_map + second + constant


def test_a_number_that_stands_for_no_map_is_a_defect() -> None:
    with pytest.raises(KeyError):
        map_value.complete(
            syscall.instruction(LOAD, 2 << 4, 0, 5) + syscall.instruction(0), {COUNTS: 9}
        )


@pytest.mark.parametrize("cpus", [(0, 1, 2), (0, 2), (3,), (0,)])
def test_cpus_that_do_not_exist_have_room_and_no_rows(cpus: tuple[int, ...]) -> None:
    layout = percpu.Layout("x64", "svm", cpus, (0, 1))
    counters = array("Q", range(layout.room * layout.stride)).tobytes()
    first_words = layout.columns(layout.rows(counters))[0]
    assert first_words.tolist() == [cpu * layout.stride for cpu in cpus]
    assert len(layout.rows(counters)) == layout.size
