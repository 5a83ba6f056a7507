"""Puts the numbers of the running host into the instructions of a prebuilt object.

A prebuilt object cannot contain offsets, sizes and thread IDs, which differ between hosts. It is
compiled with a *placeholder* for each such word: a number that nothing else in a program has.
:func:`apply` replaces placeholders in single instructions, so a prebuilt program is as fast as one
that is compiled on the host; reading the numbers from memory would cost two instructions each.

Standard library only: the worker uses it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

CALL, TYPE = "KSTATS_CAST", "KSTATS_TWO_WORDS"
"""BTF IDs for READ() in bpf/kstats.h: of bpf_rdonly_cast(), and of a struct with two words."""

PIDS, TIDS = "KSTATS_PIDS", "KSTATS_TIDS"
"""The lists of is_wanted() in bpf/prebuilt.h. Each comparison takes one number of the list."""

LISTED = 16
"""The most numbers of a list."""

# Immediates hold 32 bits. The step leaves room for what C adds to a number: AT(base, OFFSET + 8).
_FIRST, _STEP = 0x4B530000, 1 << 12
_HALF_STEP = _STEP // 2
# The offsets of loads hold 16 bits. Nothing is added to them.
_FIRST_OFFSET, _OFFSET_STEP = 0x7000, 1 << 6
_MOST = 1 << 6

# include/uapi/linux/bpf.h
_INSTRUCTION = struct.Struct("=BBhi")
_LOAD_64, _CALL = 0x18, 0x85
_CLASS = 0x07
_CLASS_LDX = 0x01
_JUMP_IF_EQUAL, _JUMP_IF_NOT_EQUAL = 0x15, 0x55
_MAP_FD, _MAP_VALUE, _KERNEL_FUNCTION = 1 << 4, 2 << 4, 2 << 4
_NOTHING = _INSTRUCTION.pack(0x05, 0, 0, 0)  # a jump to the next instruction
_WORD = 1 << 32

# Instructions before the first comparison of each list, which have no other purpose.
_PREPARING = {PIDS: 2, TIDS: 3}


class PlaceholderError(Exception):
    """An instruction cannot be patched; the object and kstats do not belong together."""


def placeholders(words: Iterable[str], record: Iterable[str] = ()) -> dict[str, int]:
    """Return the placeholder of each word.

    Args:
        words: The names of all numbers that the program may contain.
        record: Those of them that are offsets of loads: fields of the classic record.

    Raises:
        PlaceholderError: There are too many.
    """
    names = sorted({*words, PIDS, TIDS})
    if len(names) > _MOST:
        raise PlaceholderError(f"{len(names)} numbers, more than {_MOST}")
    offsets = set(record)
    return {
        name: _FIRST_OFFSET + i * _OFFSET_STEP if name in offsets else _FIRST + i * _STEP
        for i, name in enumerate(names)
    }


def descriptors(instructions: bytes) -> set[int]:
    """Return the descriptors of the maps that a program uses."""
    pieces = _INSTRUCTION.iter_unpack(instructions)
    return {
        immediate
        for code, registers, _, immediate in pieces
        if code == _LOAD_64 and registers & 0xF0 == _MAP_FD
    }


def apply(
    instructions: bytes,
    words: Mapping[str, int],
    numbers: Mapping[str, int],
    lists: Mapping[str, Sequence[int]],
    value_maps: Iterable[int],
) -> bytes:
    """Return a program with the host's numbers.

    Args:
        instructions: What libbpf would load: maps have their descriptors.
        words: The placeholders that it was compiled with.
        numbers: The number of each word.
        lists: The thread IDs for :data:`PIDS` and :data:`TIDS`; empty to select all.
        value_maps: Descriptors of the maps of which the program uses the address of the value.

    Raises:
        PlaceholderError: A placeholder has no number, or is where it is not understood.
    """
    names = {placeholder: name for name, placeholder in words.items()}
    maps = set(value_maps)
    pieces = list(_INSTRUCTION.iter_unpack(instructions))
    patched = [_INSTRUCTION.pack(*piece) for piece in pieces]
    comparisons: dict[str, list[int]] = {PIDS: [], TIDS: []}
    second_half = False
    for i, (code, registers, offset, immediate) in enumerate(pieces):
        if second_half:
            second_half = False
            continue
        second_half = code == _LOAD_64
        if code == _LOAD_64 and registers & 0xF0 == _MAP_FD:
            kind = _MAP_VALUE if immediate in maps else _MAP_FD
            patched[i] = _INSTRUCTION.pack(code, registers & 0x0F | kind, offset, immediate)
        elif code & _CLASS == _CLASS_LDX and offset in names:
            number = _checked(names[offset], numbers, 1 << 15)
            patched[i] = _INSTRUCTION.pack(code, registers, number, immediate)
        elif found := _word(immediate, names):
            name, added = found
            if name in comparisons:
                comparisons[name].append(i)
            elif code == _LOAD_64:
                number = _checked(name, numbers, _WORD**2) + added
                patched[i] = _INSTRUCTION.pack(code, registers, 0, _signed(number % _WORD))
                patched[i + 1] = _INSTRUCTION.pack(0, 0, 0, _signed(number // _WORD))
            else:
                number = _checked(name, numbers, 1 << 31) + added
                kind = _KERNEL_FUNCTION if (code, name) == (_CALL, CALL) else registers
                patched[i] = _INSTRUCTION.pack(code, kind, offset, number)
    for name, places in comparisons.items():
        _fill_list(patched, name, places, lists.get(name, ()))
    return b"".join(patched)


def _word(immediate: int, names: Mapping[int, str]) -> tuple[str, int] | None:
    """Return the name that an immediate stands for, and what is added to its number."""
    if not _FIRST - _HALF_STEP <= immediate < _FIRST + _MOST * _STEP - _HALF_STEP:
        return None
    nearest = (immediate + _HALF_STEP - _FIRST) // _STEP * _STEP + _FIRST
    if nearest not in names:
        raise PlaceholderError(f"{immediate:#x} is not a placeholder of this object")
    return names[nearest], immediate - nearest


def _checked(name: str, numbers: Mapping[str, int], limit: int) -> int:
    number = numbers.get(name)
    if number is None:
        raise PlaceholderError(f"{name} has no number")
    if not 0 <= number < limit:
        raise PlaceholderError(f"{name} is {number}, which does not fit")
    return number


def _signed(word: int) -> int:
    return word - _WORD if word >= _WORD // 2 else word


def _fill_list(
    patched: list[bytes], name: str, comparisons: Sequence[int], wanted: Sequence[int]
) -> None:
    """Fill in a list everywhere in a program.

    Each time, LISTED - 1 comparisons jump if the number is equal, and the last if it is not.
    """
    if len(wanted) > LISTED:
        raise PlaceholderError(f"{len(wanted)} numbers in {name}, more than {LISTED}")
    if len(comparisons) % LISTED:
        raise PlaceholderError(f"{len(comparisons)} comparisons with {name}")
    for at in range(0, len(comparisons), LISTED):
        group = comparisons[at : at + LISTED]
        if not wanted:
            group = [*range(group[0] - _PREPARING[name], group[0]), *group]
        for i, number in zip(group, _spread(wanted, len(group)), strict=True):
            patched[i] = _NOTHING if number is None else _with_immediate(patched[i], number)


def _spread(wanted: Sequence[int], size: int) -> Iterator[int | None]:
    """Yield ``size`` numbers: the last one last, and None where there are fewer."""
    *others, last = wanted or (None,)
    yield from others
    yield from [None] * (size - len(others) - 1)
    yield last


def _with_immediate(instruction: bytes, immediate: int) -> bytes:
    code, registers, offset, _ = _INSTRUCTION.unpack(instruction)
    if code not in (_JUMP_IF_EQUAL, _JUMP_IF_NOT_EQUAL):
        raise PlaceholderError(f"instruction {code:#x} compares with a thread ID")
    return _INSTRUCTION.pack(code, registers, offset, immediate)
