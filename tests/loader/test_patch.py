"""Placeholders in prebuilt objects, instruction by instruction."""

from __future__ import annotations

import pytest

from kstats.loader import patch
from kstats.loader.syscall import instruction

ADD, MOVE, LOAD, LOAD_32, CALL, LESS = 0x07, 0xB7, 0x18, 0x61, 0x85, 0xA5
EQUAL, NOT_EQUAL = 0x15, 0x55
MAP, VALUE, KERNEL = 1 << 4, 2 << 4, 2 << 4
NOTHING = instruction(0x05)
EXIT = instruction(0x95)

WORDS = patch.placeholders({"OFFSET", "FIELD", "LIMIT", patch.CALL}, record={"FIELD"})
NUMBERS = {"OFFSET": 6552, "FIELD": 24, "LIMIT": 512, patch.CALL: 81234}


def apply(program: bytes, **lists: tuple[int, ...]) -> bytes:
    """Patch a program with the numbers above; descriptor 9 is a map that is used by its value."""
    wanted = {"KSTATS_PIDS": lists.get("pids", ()), "KSTATS_TIDS": lists.get("tids", ())}
    return patch.apply(program, WORDS, NUMBERS, wanted, [9])


def constant(value: int, kind: int = 0) -> bytes:
    """Return a 64-bit constant in register 1."""
    low, high = value & 0xFFFFFFFF, value >> 32
    return instruction(LOAD, kind | 1, 0, low) + instruction(0, 0, 0, high)


def test_every_word_has_a_placeholder_of_its_own() -> None:
    assert len(set(WORDS.values())) == len(WORDS) == 6
    assert WORDS["FIELD"] < 1 << 15 < WORDS["OFFSET"]


@pytest.mark.parametrize("added", [0, 8, -1])
@pytest.mark.parametrize("code", [ADD, MOVE, LESS])
def test_an_immediate_becomes_the_number_and_what_is_added(code: int, added: int) -> None:
    before = instruction(code, 3, 2, WORDS["OFFSET"] + added)
    assert apply(before + EXIT) == instruction(code, 3, 2, 6552 + added) + EXIT


def test_a_constant_holds_64_bits() -> None:
    number = 0x1_8000_0001
    patched = patch.apply(constant(WORDS["LIMIT"]), WORDS, {**NUMBERS, "LIMIT": number}, {}, [])
    assert patched == instruction(LOAD, 1, 0, -(2**31) + 1) + instruction(0, 0, 0, 1)


def test_the_offset_of_a_load_becomes_the_fields() -> None:
    before = instruction(LOAD_32, 0x13, WORDS["FIELD"])
    assert apply(before) == instruction(LOAD_32, 0x13, 24)


def test_a_call_becomes_one_of_a_kernel_function() -> None:
    helper = instruction(CALL, 0, 0, 14)
    before = helper + instruction(CALL, 0, 0, WORDS[patch.CALL])
    assert apply(before) == helper + instruction(CALL, KERNEL, 0, 81234)


def test_a_map_that_is_used_by_its_value_is_addressed() -> None:
    assert apply(constant(9, MAP) + constant(8, MAP)) == constant(9, VALUE) + constant(8, MAP)


def test_other_numbers_stay() -> None:
    program = constant(0x9E37_79B9_7F4A_7C15 - (1 << 63)) + instruction(ADD, 10, 0, -8) + EXIT
    assert apply(program) == program


def test_a_number_in_the_second_half_of_a_constant_stays() -> None:
    program = instruction(LOAD, 1) + instruction(0, 0, 0, WORDS["LIMIT"])
    assert apply(program) == program


def filter_of(name: str, prepared: int) -> bytes:
    """Return the comparisons of is_wanted() with a list, as clang compiles them."""
    word = WORDS[name]
    equal = b"".join(instruction(EQUAL, 0, n, word) for n in range(patch.LISTED - 1))
    return instruction(MOVE) * prepared + equal + instruction(NOT_EQUAL, 0, 99, word)


PROCESSES, THREADS = filter_of("KSTATS_PIDS", 2), filter_of("KSTATS_TIDS", 3)


def test_without_a_filter_nothing_is_compared() -> None:
    program = EXIT + PROCESSES + THREADS + EXIT
    count = len(PROCESSES + THREADS) // len(EXIT)
    assert apply(program) == EXIT + NOTHING * count + EXIT


def test_a_filter_compares_with_its_numbers_only() -> None:
    one = instruction(MOVE) * 2 + NOTHING * 15 + instruction(NOT_EQUAL, 0, 99, 4321)
    none = NOTHING * len(THREADS[::8])
    assert apply(PROCESSES + THREADS, pids=(4321,)) == one + none
    first, last = instruction(EQUAL, 0, 0, 7), instruction(NOT_EQUAL, 0, 99, 8)
    two = instruction(MOVE) * 3 + first + NOTHING * 14 + last
    assert apply(THREADS, tids=(7, 8)) == two
    assert apply(THREADS * 2, tids=(7, 8)) == two * 2  # compiled into two functions


def test_a_full_filter_compares_with_all() -> None:
    pids = tuple(range(1, patch.LISTED + 1))
    patched = apply(PROCESSES, pids=pids)
    assert [patched[i + 4] for i in range(16, len(patched), 8)] == list(pids)


@pytest.mark.parametrize(
    ("program", "lists", "problem"),
    [
        (instruction(ADD, 3, 0, WORDS["LIMIT"] + 0x2000000), {}, None),
        (instruction(ADD, 3, 0, max(WORDS.values()) + 0x3000), {}, "is not a placeholder"),
        (PROCESSES[8:], {"pids": tuple(range(17))}, "17 numbers in KSTATS_PIDS, more than 16"),
        (PROCESSES[:-8], {}, "15 comparisons with KSTATS_PIDS"),
        (instruction(ADD, 3, 0, WORDS["KSTATS_PIDS"]) * 16, {"pids": (1,)}, "compares with"),
    ],
)
def test_what_is_not_understood_is_refused(
    program: bytes, lists: dict[str, tuple[int, ...]], problem: str | None
) -> None:
    if problem is None:
        assert apply(program, **lists) == program
        return
    with pytest.raises(patch.PlaceholderError, match=problem):
        apply(program, **lists)


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [({}, "OFFSET has no number"), ({"OFFSET": -1}, "does not fit"), ({"OFFSET": 1 << 31}, "fit")],
)
def test_a_missing_or_absurd_number_is_refused_and_never_zero(
    numbers: dict[str, int], problem: str
) -> None:
    with pytest.raises(patch.PlaceholderError, match=problem):
        patch.apply(instruction(ADD, 3, 0, WORDS["OFFSET"]), WORDS, numbers, {}, [])


def test_there_is_a_limit_to_words() -> None:
    with pytest.raises(patch.PlaceholderError, match="70 numbers, more than 64"):
        patch.placeholders({f"WORD{n}" for n in range(68)})
