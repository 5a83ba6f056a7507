"""Maps in programs that bcc compiled, and the counters at the address of a value."""

from __future__ import annotations

from array import array

import pytest

from kstats.collector.layout import Layout
from kstats.collector.percpu import Words
from kstats.loader import map_fd, syscall

LOAD = 0x18
FD, VALUE = 1 << 4, 2 << 4


def load(kind: int, number: int) -> bytes:
    """Return a 64-bit constant, or the address of a map or of its value, in register 3."""
    return syscall.instruction(LOAD, kind | 3, 0, number) + syscall.instruction(0)


def test_numbers_of_maps_become_descriptors_and_constants_stay() -> None:
    numbers = map_fd.numbers(["counts", "threads"])
    counts, threads = numbers["counts"], numbers["threads"]
    program = load(VALUE, counts) + load(FD, threads) + load(0, counts) + load(FD, 5)
    relocated = map_fd.relocate(program, {counts: 9, threads: 10})
    assert relocated == load(VALUE, 9) + load(FD, 10) + load(0, counts) + load(FD, 5)


@pytest.mark.parametrize("cpus", [(0, 1, 2), (0, 2), (3,), (0,)])
def test_missing_cpus_have_memory_but_no_rows(cpus: tuple[int, ...]) -> None:
    words = Words(Layout("x64", "svm", cpus, (0, 1)))
    counters = array("Q", range(words.cpus * words.stride)).tobytes()
    columns = words.columns(counters)
    assert columns[0].tolist() == [cpu * words.stride for cpu in cpus]
    assert {len(column) for column in columns} == {len(cpus)}
