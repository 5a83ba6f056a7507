"""Whole numbers as text: variable-length quantities in base 64, as source maps have them.

A number is one or more characters of base 64's alphabet, each worth six bits: the lower five are
part of the number, the most significant part first, and the sixth says that more follow. The
lowest bit of the number is its sign. So small changes take one character, need no separator, and
the text of many is as short as an entropy coder can make good use of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kstats.recording.errors import LineError

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BITS = 5
_MORE = 1 << _BITS
_VALUE = {char: value for value, char in enumerate(_ALPHABET)}

# 14 characters hold 69 bits and a sign: any difference of two counts.
_NUMBER = re.compile(r"[g-z0-9+/]{0,13}[A-Za-f]")
_NUMBERS = re.compile(rf"(?:{_NUMBER.pattern})*")

_REMEMBERED = 1 << 16


class _Texts(dict[int, str]):
    """The text of each number that was asked for; most are asked for again and again."""

    def __missing__(self, number: int) -> str:
        text = _text(number)
        if len(self) < _REMEMBERED:
            self[number] = text
        return text


class _Values(dict[str, int]):
    """The number of each text that was asked for."""

    def __missing__(self, text: str) -> int:
        number = _number(text)
        if len(self) < _REMEMBERED:
            self[text] = number
        return number


_texts = _Texts()
_values = _Values()


def as_text(numbers: Iterable[int]) -> str:
    """The text of ``numbers``."""
    return "".join(map(_texts.__getitem__, numbers))


def from_text(text: str) -> list[int]:
    """The numbers of ``text``; raises LineError if it is none of :func:`as_text`'s."""
    if not _NUMBERS.fullmatch(text):
        raise LineError("a text that is no list of numbers")
    return list(map(_values.__getitem__, _NUMBER.findall(text)))


def _text(number: int) -> str:
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    chars = [_ALPHABET[rest & (_MORE - 1)]]
    while rest := rest >> _BITS:
        chars.append(_ALPHABET[_MORE | (rest & (_MORE - 1))])
    return "".join(reversed(chars))


def _number(text: str) -> int:
    value = 0
    for char in text:
        value = value << _BITS | (_VALUE[char] & (_MORE - 1))
    return -(value + 1 >> 1) if value & 1 else value >> 1
