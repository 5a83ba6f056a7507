"""Two made-up readings of the kernel's counters become a sample."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from kstats.collector.layout import Layout
from kstats.collector.percpu import Counts, Reading, Words
from kstats.model import Sample
from tests.collector.readings import between
from tests.samples import counts, total

CODES = (0, 1, 1 << 32)
LAYOUT = Layout("arm64", "arm64", (0, 1, 4), CODES)
WORDS = Words(LAYOUT)
"""Three CPUs with a gap in their numbers, as on a host with empty sockets."""


def counters(
    entries: int = 0, unsupported_isa: int = 0, code_dropped: int = 0, exits: Sequence[int] = ()
) -> bytes:
    """One CPU's struct percpu_counts of bpf/counts.c, with its slots."""
    padded = [*exits, 0, 0, 0][: len(CODES)]
    return struct.pack("=3Q3Q", entries, unsupported_isa, code_dropped, *padded)


def snapshot(
    *cpus: bytes,
    at: float = 0.0,
    odd: Mapping[tuple[int, int], int] | None = None,
    misses: int = 0,
) -> Reading:
    """Return a reading of the structs of CPUs 0, 1 and 4."""
    zero, one, four = cpus
    values = b"".join((zero, one, counters(), counters(), four))
    return Reading(1000.0 + at, at, WORDS.columns(values), odd or {}, misses)


def sample(before: Reading, now: Reading) -> Sample:
    """What is counted between the two with CPUs 0 and 1 online."""
    return between((Counts(LAYOUT), before, now), layout=LAYOUT)


ZERO = snapshot(counters(), counters(), counters())


def test_the_kernels_buffer_is_as_large_as_its_structs() -> None:
    assert WORDS.cpus * WORDS.stride * 8 == 5 * len(counters())


def test_a_sample_is_the_difference_of_two_snapshots() -> None:
    before = snapshot(
        counters(10, exits=[1, 2, 3]), counters(20, exits=[4, 5, 6]), counters(), at=5.0
    )
    now = snapshot(counters(13, exits=[1, 2, 5]), counters(20, exits=[5, 5, 6]), counters(), at=7.5)
    got = sample(before, now)
    assert got.entries == {0: 3}
    assert counts(got.exits) == {("arm64", 1 << 32): {(0, 0): 2}, ("arm64", 0): {(1, 0): 1}}
    assert (got.code_dropped, got.unsupported_isa, got.missed) == ({}, 0, 0)


def test_a_sample_says_when_it_ended_and_how_long_it_really_was() -> None:
    """The clock on the wall may be set in between; the time that passed is another clock's."""
    before = Reading(5000.0, 100.0, ZERO.columns, {}, 0)
    now = Reading(1000.0, 102.25, ZERO.columns, {}, 0)
    got = sample(before, now)
    assert (got.time, got.elapsed) == (1000.0, 2.25)


def test_values_belong_to_possible_cpus_in_order_whatever_their_numbers() -> None:
    got = sample(ZERO, snapshot(counters(1), counters(2), counters(4)))
    assert got.entries == {0: 1, 1: 2, 4: 4}


def test_a_cpu_that_went_offline_keeps_its_last_counts() -> None:
    got = sample(ZERO, snapshot(counters(), counters(), counters(7, exits=[0, 7])))
    assert got.cpus == (0, 1)
    assert got.entries == {4: 7}
    assert counts(got.exits) == {("arm64", 1): {(4, 0): 7}}


def test_odd_codes_keep_their_number_and_cpu() -> None:
    before = snapshot(*[counters()] * 3, odd={(77, 0): 5, (77, 1): 1})
    now = snapshot(*[counters()] * 3, odd={(77, 0): 6, (77, 1): 1, (1 << 63, 4): 2})
    assert counts(sample(before, now).exits) == {
        ("arm64", 77): {(0, 0): 1},
        ("arm64", 1 << 63): {(4, 0): 2},
    }


def test_what_was_not_counted_as_it_should_is_said() -> None:
    before = snapshot(
        counters(unsupported_isa=1, code_dropped=2),
        counters(),
        counters(unsupported_isa=9),
        misses=3,
    )
    now = snapshot(
        counters(unsupported_isa=4, code_dropped=2),
        counters(code_dropped=8),
        counters(unsupported_isa=10),
        misses=7,
    )
    got = sample(before, now)
    assert (got.code_dropped, got.unsupported_isa, got.missed) == ({1: 8}, 4, 4)


def test_a_quiet_interval_has_nothing_in_it() -> None:
    assert counts(sample(ZERO, ZERO).exits) == {}
    assert sample(ZERO, ZERO).entries == {}


def test_counters_beyond_63_bits_subtract_exactly() -> None:
    most = (1 << 64) - 1
    before = snapshot(counters(most - 2), counters(), counters())
    assert sample(before, snapshot(counters(most), counters(), counters())).entries == {0: 2}


_GROWTH = st.lists(
    st.lists(st.integers(0, 1 << 40), min_size=6, max_size=6), min_size=3, max_size=3
)


@given(_GROWTH, _GROWTH)
def test_samples_that_follow_each_other_add_up(
    first: list[list[int]], more: list[list[int]]
) -> None:
    """Nothing is counted twice or forgotten between two reports."""
    rows = [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(first, more, strict=True)]
    middle = snapshot(*[struct.pack("=6Q", *row) for row in first])
    end = snapshot(*[struct.pack("=6Q", *row) for row in rows])
    whole = sample(ZERO, end)
    assert total(sample(ZERO, middle)) + total(sample(middle, end)) == total(whole)
    assert total(whole) == sum(sum(row[3:]) for row in rows)
