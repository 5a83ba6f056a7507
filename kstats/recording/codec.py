"""Converts values of samples and headers to and from what JSON can hold.

A mapping becomes a list of pairs, since its keys need not be texts. Reading is by type and strict;
it takes cattrs, which writing does not.
"""

from __future__ import annotations

import enum
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NewType, TypeAlias

import attrs

from kstats.errors import MissingLibraryError
from kstats.escape import printable
from kstats.model import Place
from kstats.recording.errors import LineError
from kstats.vms.identity import Kind

if typing.TYPE_CHECKING:
    from cattrs import Converter

Hook: TypeAlias = Callable[[Any, Any], Any]

LEAST, MOST = -1, (1 << 64) - 1
"""The range of every number; -1 stands for what is not told apart."""

Differences = NewType("Differences", list[int])
"""A long list of whole numbers of any sign, which is checked as a whole."""

_HUGE = 1e18
_SHOWN = 64


def unstructure(value: Any) -> Any:
    """Return what JSON can hold of a value of attrs classes, collections, enums and scalars."""
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if attrs.has(type(value)):
        return {f.name: unstructure(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Place):  # most have no detail
        return list(value if value.detail is not None else value[:2])
    if isinstance(value, Mapping):
        return [[unstructure(key), unstructure(item)] for key, item in value.items()]
    if isinstance(value, frozenset | set):
        return sorted(map(unstructure, value))
    return [unstructure(item) for item in value]


def structure(value: Any, type_: Any) -> Any:
    """Return ``value`` as ``type_``, a class or a type annotation.

    Raises:
        LineError: ``value`` does not have that type. The text says in one line what is wrong.
    """
    try:
        return _converter().structure(value, type_)
    except KeyError as error:
        raise LineError(f"{error} is missing") from error


@functools.cache
def _converter() -> Converter:
    try:
        import cattrs  # noqa: PLC0415 - 30 ms that only reading takes
    except ImportError as error:
        raise MissingLibraryError("cattrs", "reading recordings", "cattr") from error
    # The first error is enough, and unknown keys of later versions are skipped.
    converter = cattrs.Converter(detailed_validation=False)
    for type_, hook in _HOOKS.items():
        converter.register_structure_hook(type_, hook)
    converter.register_structure_hook_func(lambda type_: type_ == str | int, _key)
    converter.register_structure_hook_func(lambda type_: type_ is Differences, _differences)
    for asked, make in _FACTORIES.items():
        converter.register_structure_hook_factory(asked, functools.partial(make, converter))
    return converter


def _int(value: Any, _: Any) -> int:
    if type(value) is not int or not LEAST <= value <= MOST:
        raise LineError(f"{_shown(value)} is not a whole number from {LEAST} to 2**64-1")
    return value


def _float(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < _HUGE:
        raise LineError(f"{_shown(value)} is not a number of seconds")
    return float(value)


def _text(value: Any, _: Any) -> Any:
    return _one_of((str,), value, "a text")


def _bool(value: Any, _: Any) -> Any:
    return _one_of((bool,), value, "true or false")


def _key(value: Any, _: Any) -> Any:
    return _one_of((str, int), value, "a name or a number")


def _differences(value: Any, _: Any) -> Any:
    if not set(map(type, _list(value))) <= {int}:
        raise LineError("counts that are not whole numbers")
    return value


def _kind(value: Any, _: Any) -> Kind:
    # A later version may know others.
    return Kind(value) if value in list(Kind) else Kind.OTHER


_HOOKS: Mapping[Any, Hook] = {
    int: _int,
    float: _float,
    str: _text,
    bool: _bool,
    Kind: _kind,
}


def _attrs(converter: Converter, type_: Any) -> Hook:
    from cattrs.gen import make_dict_structure_fn  # noqa: PLC0415 - as above

    hook: Hook = make_dict_structure_fn(type_, converter)
    return lambda value, _: hook(_one_of((dict,), value, "an object"), type_)


def _object(_: Converter, __: Any) -> Hook:
    """An object. Its items are checked later."""
    return lambda value, _: _one_of((dict,), value, "an object")


def _mapping(converter: Converter, type_: Any) -> Hook:
    """A list of pairs."""
    pair: Any = types.GenericAlias(tuple, typing.get_args(type_))
    return lambda value, _: dict(converter.structure(item, pair) for item in _list(value))


def _items(converter: Converter, type_: Any) -> Hook:
    """A list of any length."""
    make, (item, *_) = typing.get_origin(type_), typing.get_args(type_)
    return lambda value, _: make(converter.structure(one, item) for one in _list(value))


def _tuple(converter: Converter, type_: Any) -> Hook:
    """A list of as many items as the type has; those with a default may be missing."""
    held = typing.get_args(type_) or tuple(typing.get_type_hints(type_).values())
    least = len(held) - len(getattr(type_, "_field_defaults", ()))
    make: Any = tuple if typing.get_args(type_) else lambda items: type_(*items)

    def hook(value: Any, _: Any) -> Any:
        if not least <= len(_list(value)) <= len(held):
            raise LineError(f"{_shown(value)} does not have {len(held)} items")
        return make(map(converter.structure, value, held))

    return hook


def _is_many(type_: Any) -> bool:
    many = typing.get_origin(type_) in (list, frozenset)
    return many or (typing.get_origin(type_) is tuple and typing.get_args(type_)[1:] == (...,))


_FACTORIES: Mapping[Callable[[Any], bool], Callable[[Converter, Any], Hook]] = {
    attrs.has: _attrs,
    lambda type_: typing.get_origin(type_) is dict: _object,
    lambda type_: typing.get_origin(type_) is Mapping: _mapping,
    lambda type_: typing.get_origin(type_) is tuple or hasattr(type_, "_make"): _tuple,
    _is_many: _items,
}


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
