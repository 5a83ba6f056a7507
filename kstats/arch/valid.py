"""Validators of the values that backends make: an invalid one raises ValueError.

Messages name the field and the value: ``Reason.name has unusual characters: 'a,b'``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import attrs

NUMBER_BITS = 32
CODE_BITS = 64
MAX_LINE = 100

MAX_ARGS = 12
"""Arguments of a raw tracepoint (the kernel's MAX_BPF_FUNC_ARGS)."""

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

_PUNCTUATION = str.maketrans("", "", "_ .:-")


def field(problem: str, holds: Callable[[Any], object]) -> Validator:
    """Return a validator that raises ValueError with ``problem`` unless ``holds(value)``."""

    def validate(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not holds(value):
            raise _invalid(problem, instance, attribute, value)

    return validate


def each(problem: str, holds: Callable[[Any], object]) -> Validator:
    """Return a validator of every element of a tuple, or of every key of a mapping."""
    return _validator(problem, holds, iter)


def each_value(problem: str, holds: Callable[[Any], object]) -> Validator:
    """Return a validator of every value of a mapping."""
    return _validator(problem, holds, lambda mapping: mapping.values())


def _validator(
    problem: str, holds: Callable[[Any], object], parts: Callable[[Any], Iterable[Any]]
) -> Validator:
    def validate(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        for part in parts(value):
            if not holds(part):
                raise _invalid(problem, instance, attribute, part)

    return validate


def _invalid(
    problem: str, instance: object, attribute: attrs.Attribute[Any], value: object
) -> ValueError:
    return ValueError(f"{type(instance).__name__}.{attribute.name} {problem}: {value!r}")


def is_identifier(text: str) -> bool:
    """Whether a name has lower-case letters, digits and _ only, and starts with a letter."""
    return text.isascii() and text.isidentifier() and text == text.lower() and text[0] != "_"


def is_define(text: str) -> bool:
    """Whether a name is one of the C preprocessor: an identifier in upper case."""
    return is_identifier(text.lower()) and text == text.upper()


def is_readable(text: str) -> bool:
    """Whether a name survives CSV, JSON keys and shells."""
    return text.isascii() and text[:1].isalpha() and text.translate(_PUNCTUATION).isalnum()


def is_member(text: str) -> bool:
    """Whether a text is a member of a struct: ``struct.member.member``."""
    return "." in text and all(part.isidentifier() for part in text.split("."))


def is_line(text: str) -> bool:
    """Whether a text is one short line."""
    return 0 < len(text) <= MAX_LINE and text.isprintable()


_IDENTIFIER = "has characters other than lower-case letters, digits and _"
_LINE = f"is not one line of 1 to {MAX_LINE} characters"
_DEFINE = "is not a preprocessor name"

identifier = field(_IDENTIFIER, is_identifier)
identifiers = each(_IDENTIFIER, is_identifier)
define = field(_DEFINE, is_define)
defines = each(_DEFINE, is_define)
define_or_empty = field(_DEFINE, lambda text: not text or is_define(text))
line = field(_LINE, is_line)
line_or_empty = field(_LINE, lambda text: not text or is_line(text))
lines = each(_LINE, is_line)
not_empty = field("is empty", bool)
code = field("is not a 64-bit code", lambda value: 0 <= value < 1 << CODE_BITS)


def unsigned(bits: int) -> Validator:
    """Return a validator of integers of so many bits."""
    return field(f"has more than {bits} bits", lambda value: 0 <= value < 1 << bits)


def repeated(kind: str, items: Iterable[Hashable]) -> Iterator[str]:
    """Yield a line for each item that is there more than once."""
    seen: set[Hashable] = set()
    for item in items:
        if item in seen:
            yield f"{kind} {item!r} appears twice"
        seen.add(item)


def refuse(value: object, problems: Iterable[str]) -> None:
    """Raise ValueError with the first of the problems of a value, if there is one."""
    for problem in problems:
        raise ValueError(f"{type(value).__name__}: {problem}")
