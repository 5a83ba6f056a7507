"""Addresses of map values in programs, and the counters at these addresses."""

from __future__ import annotations

from array import array

import pytest

from kstats.collector.feature import Layout
from kstats.collector.percpu import Words
from kstats.loader import map_value, syscall

LOAD = 0x18
COUNTS = map_value.NUMBERS["counts"]


def test_only_addresses_of_values_get_a_descriptor() -> None:
    address, second = syscall.instruction(LOAD, 2 << 4 | 3, 0, COUNTS), syscall.instruction(0)
    a_map, constant = (
        syscall.instruction(LOAD, 1 << 4 | 1, 0, COUNTS),
        syscall.instruction(LOAD, 1, 0, 7),
    )
    completed = map_value.relocate(address + second + a_map + second + constant, {COUNTS: 9})
    expected = syscall.instruction(LOAD, 2 << 4 | 3, 0, 9)
    assert completed == expected + second + a_map + second + constant


def test_a_number_without_a_map_is_a_defect() -> None:
    with pytest.raises(KeyError):
        map_value.relocate(
            syscall.instruction(LOAD, 2 << 4, 0, 5) + syscall.instruction(0), {COUNTS: 9}
        )


@pytest.mark.parametrize("cpus", [(0, 1, 2), (0, 2), (3,), (0,)])
def test_missing_cpus_have_memory_but_no_rows(cpus: tuple[int, ...]) -> None:
    words = Words(Layout("x64", "svm", cpus, (0, 1)))
    counters = array("Q", range(words.cpus * words.stride)).tobytes()
    columns = words.columns(counters)
    assert columns[0].tolist() == [cpu * words.stride for cpu in cpus]
    assert {len(column) for column in columns} == {len(cpus)}
