"""CPU lists from users and from the kernel, also invalid and hostile ones."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats import cpulist
from kstats.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", (0,)),
        ("0-3", (0, 1, 2, 3)),
        ("0-1,4-5,8\n", (0, 1, 4, 5, 8)),
        ("3,1,2", (1, 2, 3)),
        ("2-4,3-5,4", (2, 3, 4, 5)),
        (" 0 , 2 ", (0, 2)),
        ("7-7", (7,)),
        ("00-01", (0, 1)),
        ("65535", (65535,)),
    ],
)
def test_cpus_are_ascending_without_duplicates(text: str, expected: tuple[int, ...]) -> None:
    assert cpulist.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",", "0,", ",0", "0,,1", "-", "-1", "0-", "0--1", "0-1-2", "0:3", "0-3/2"),
        *("all", "0x1", "1.0", "+1", "1e1", "1_0", "0 1", "0\x001", "0\n1", "1" * 5000),
        *("\u0663", "\uff10", "\xb2"),  # str.isdigit accepts these
    ],
)
def test_an_invalid_list_is_a_usage_error_of_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        cpulist.parse(text)
    assert caught.value.hint == "write it like 0-3,8"
    assert "\n" not in str(caught.value)


def test_the_hint_for_a_reversed_range_is_the_correct_one() -> None:
    with pytest.raises(UsageError, match="reversed CPU range '5-3'") as caught:
        cpulist.parse("0,5-3")
    assert caught.value.hint == "write it 3-5"


@pytest.mark.parametrize("text", ["65536", "0-65536", "999999", "0-999999"])
def test_too_large_numbers_are_rejected_without_expanding_the_range(text: str) -> None:
    """A user cannot make kstats allocate a million numbers."""
    with pytest.raises(UsageError, match="invalid CPU number"):
        cpulist.parse(text)


def test_a_hostile_list_is_rejected_quickly() -> None:
    start = time.process_time()
    with pytest.raises(UsageError):
        cpulist.parse("0-4000000000," * 1000)
    assert time.process_time() - start < 0.1


@given(st.sets(st.integers(0, cpulist.MOST_CPUS - 1), min_size=1))
def test_a_written_list_is_parsed_back(cpus: set[int]) -> None:
    assert cpulist.parse(",".join(map(str, cpus))) == tuple(sorted(cpus))


@given(st.text(alphabet="0123456789-, x\n", max_size=20))
def test_any_text_is_parsed_or_a_usage_error(text: str) -> None:
    try:
        cpus = cpulist.parse(text)
    except UsageError:
        return
    assert cpus
    assert list(cpus) == sorted(set(cpus))
