"""Convert values of samples and headers to and from JSON values.

A mapping becomes a list of pairs, since its keys need not be strings. Reading is driven by the
type annotations and strict: a recording may be damaged or hostile.
"""

from __future__ import annotations

import enum
import functools
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from operator import ge
from typing import Any, NewType, TypeAlias

import attrs

from kstats.escape import printable
from kstats.model import MOST_CPUS, Cpu, Cpus, Place
from kstats.recording.errors import LineError
from kstats.vms.identity import Kind

_Reader: TypeAlias = Callable[[Any], Any]
"""Return a JSON value as a value of one type, or raise LineError."""

LEAST, MOST = -1, (1 << 64) - 1
"""The range of every number; -1 stands for what is not distinguished."""

Differences = NewType("Differences", list[int])
"""A long list of whole numbers of any sign. It is checked as a whole, which is faster."""

_LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, the last year that datetime supports."""

_SHOWN = 64


def unstructure(value: Any) -> Any:
    """Return the JSON value of attrs classes, collections, enums and scalars."""
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if attrs.has(type(value)):
        return {f.name: unstructure(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Place):  # most have neither detail nor handler
        most = 4 if value.handler is not None else 3 if value.detail is not None else 2
        return list(value[:most])
    if isinstance(value, Mapping):
        return [[unstructure(key), unstructure(item)] for key, item in value.items()]
    if isinstance(value, frozenset | set):
        return sorted(map(unstructure, value))
    return [unstructure(item) for item in value]


def structure(value: Any, type_: Any) -> Any:
    """Return a JSON value as ``type_``, a class or a type annotation.

    Raises:
        LineError: ``value`` does not have that type. The text says in one line what is wrong.
    """
    return _reader(type_)(value)


@functools.cache
def _reader(type_: Any) -> _Reader:
    if type_ in _SCALARS:
        return _SCALARS[type_]
    if attrs.has(type_):
        return _attrs(type_)
    if hasattr(type_, "_fields"):  # a named tuple
        hints = typing.get_type_hints(type_, include_extras=True)
        return _tuple(lambda items: type_(*items), hints.values(), len(type_._field_defaults))
    return _generic(type_)


def _generic(type_: Any) -> _Reader:
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin is types.UnionType:
        return _optional(*arguments)
    if origin is dict:  # its items are read later
        return lambda value: _one_of((dict,), value, "an object")
    if origin is Mapping:
        return _mapping(_items(list, _tuple(tuple, arguments)))
    if origin is tuple and arguments[1:] != (...,):
        return _tuple(tuple, arguments)
    if origin in (list, tuple, frozenset):
        return _items(origin, _reader(arguments[0]))
    raise TypeError(f"{type_} cannot be recorded")


def _int(value: Any) -> int:
    if type(value) is not int or not LEAST <= value <= MOST:
        raise LineError(f"{_shown(value)} is not a whole number from {LEAST} to 2**64-1")
    return value


def _cpu(value: Any) -> int:
    if type(value) is not int or not -1 <= value < MOST_CPUS:
        raise LineError(f"{_shown(value)} is not a CPU from -1 to {MOST_CPUS - 1}")
    return value


def _cpus(value: Any) -> tuple[int, ...]:
    numbers = tuple(map(_int, _list(value)))
    if numbers and not 0 <= min(numbers) <= max(numbers) < MOST_CPUS:
        raise LineError(f"a CPU is not between 0 and {MOST_CPUS - 1}")
    if any(map(ge, numbers, numbers[1:])):
        raise LineError("CPUs are not in ascending order, or come twice")
    return numbers


def _float(value: Any) -> float:
    if type(value) not in (int, float):
        raise LineError(f"{_shown(value)} is not a number of seconds")
    if not 0 <= value <= _LAST_MOMENT:
        number = f"{value:g}" if isinstance(value, float) else _shown(value)
        raise LineError(f"{number} seconds are out of range")
    return float(value)


def _differences(value: Any) -> Any:
    if not set(map(type, _list(value))) <= {int}:
        raise LineError("not only whole numbers")
    return value


def _kind(value: Any) -> Kind:
    # A later version may know others.
    return Kind(value) if value in list(Kind) else Kind.OTHER


_SCALARS: Mapping[Any, _Reader] = {
    Any: lambda value: value,
    int: _int,
    Cpu: _cpu,
    Cpus: _cpus,
    float: _float,
    str: lambda value: _one_of((str,), value, "a text"),
    bool: lambda value: _one_of((bool,), value, "true or false"),
    str | int: lambda value: _one_of((str, int), value, "a name or a number"),
    Kind: _kind,
    Differences: _differences,
}


def _attrs(type_: Any) -> _Reader:
    """Read an object. Unknown keys are ignored: a later version may add some."""
    hints = typing.get_type_hints(type_, include_extras=True)
    readers = {f.name: _reader(hints[f.name]) for f in attrs.fields(type_)}
    required = {f.name for f in attrs.fields(type_) if f.default is attrs.NOTHING}

    def read(value: Any) -> Any:
        items = _one_of((dict,), value, "an object")
        arguments = {}
        for name, reader in readers.items():
            if name in items:
                try:
                    arguments[name] = reader(items[name])
                except LineError as error:
                    raise error.inside(name) from error
            elif name in required:
                raise LineError(f"{name!r} is missing")
        return type_(**arguments)

    return read


def _optional(type_: Any, none: Any) -> _Reader:
    if none is not types.NoneType:
        raise TypeError(f"{type_} | {none} cannot be recorded")
    read = _reader(type_)
    return lambda value: None if value is None else read(value)


def _items(make: Callable[[Any], Any], read: _Reader) -> _Reader:
    """Read a list of any length."""
    return lambda value: make(map(read, _list(value)))


def _mapping(pairs: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        mapping = dict(pairs(value))
        if len(mapping) < len(value):
            raise LineError("a key comes twice")
        return mapping

    return read


def _tuple(make: Callable[[Any], Any], types_: Iterable[Any], optional: int = 0) -> _Reader:
    """Read a list with one item per type; the last ``optional`` ones may be missing."""
    readers = [_reader(type_) for type_ in types_]
    least = len(readers) - optional

    def read(value: Any) -> Any:
        if not least <= len(_list(value)) <= len(readers):
            raise LineError(f"{_shown(value)} does not have {len(readers)} items")
        return make(reader(item) for reader, item in zip(readers, value, strict=False))

    return read


def _list(value: Any) -> Any:
    return _one_of((list,), value, "a list")


def _one_of(allowed: tuple[type, ...], value: Any, what: str) -> Any:
    if type(value) not in allowed:
        raise LineError(f"{_shown(value)} is not {what}")
    return value


def _shown(value: Any) -> str:
    """Return enough of a value to find it in the file; it may be huge, and may be hostile."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    huge = isinstance(value, int) and value.bit_length() > _SHOWN
    return "a huge number" if huge else printable(json.dumps(value), _SHOWN)
