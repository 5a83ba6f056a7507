"""The fields of a sample as a recording has them. A new field is recorded without a change here.

- *Counters*: mappings, also of mappings, that end in counts: in whole numbers, or in values made
  of them. Each is one of many series that change a little from sample to sample. ``exits`` are
  two: their counts, and as ``latency`` the latencies.
- *Directories*: mappings that end in anything else: who is who. Most of it stays.
- *Facts*: everything else.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from kstats.counted import Counted
from kstats.histogram import Histogram
from kstats.model import Exits, Place, Sample, count_only

ALWAYS = frozenset({"time", "elapsed"})
"""Facts that every line has, changed or not."""

_LATENCY = "latency"

ABSENT = -1
"""The count of a series that a sample does not have."""

Path = tuple[Any, ...]
"""The keys that lead to a count."""

Column: TypeAlias = tuple[Path, Sequence[Any], Sequence[int]]
"""The keys above counts, the last key of each, and the counts."""


@attrs.frozen(eq=False)
class Leaf:
    """A class of values at the end of counters: whole numbers, and at most one mapping.

    Its numbers are counts by the names of its attributes; those of the mapping by its own keys,
    which are numbers. So a histogram is ``{"total": 900, …, 12: 1, 17: 3}``.
    """

    made: type
    mapping: str | None
    names: frozenset[str]
    """Those of its numbers."""

    @classmethod
    def of(cls, made: type) -> Leaf:
        """Return the leaf of an attrs class."""
        hints = typing.get_type_hints(made)
        names = [name for name, type_ in hints.items() if typing.get_origin(type_) is Mapping]
        return cls(made, names[0] if names else None, frozenset(hints) - set(names))

    def counts(self, value: Any) -> dict[Any, int]:
        """Return the counts of a value by their keys, without those that are None."""
        named = {f.name: getattr(value, f.name) for f in attrs.fields(self.made)}
        inner = named.pop(self.mapping) if self.mapping else {}
        return {name: n for name, n in named.items() if n is not None} | inner

    def value(self, counts: Mapping[Any, int]) -> Any:
        """Return the value with these counts; unknown names of later versions are skipped."""
        inner: dict[Any, int] = {}
        arguments: dict[str, Any] = {self.mapping: inner} if self.mapping else {}
        for key, n in counts.items():
            if not isinstance(key, str):
                inner[key] = n
            elif key in self.names:
                arguments[key] = n
        return self.made(**arguments)


@attrs.frozen(eq=False)
class Field:
    """A field of :class:`kstats.model.Sample`.

    Attributes:
        name: Its name.
        type: Its type.
        keys: The types of the keys on the way to a count or a leaf, outermost first; empty if it
            is none of the counters.
        leaf: What its counts are part of, if they are.
        default: What it is where nothing was recorded; attrs.NOTHING if there must be something.
        source: The field of the sample that has it.
        pick: What to record of the value at the end of the keys; None for nothing.
    """

    name: str
    type: Any
    keys: tuple[Any, ...]
    leaf: Leaf | None
    default: Any
    source: str
    pick: Callable[[Any], Any] = lambda value: value

    @property
    def is_directory(self) -> bool:
        """Whether the field is a mapping that does not end in counts."""
        return not self.keys and typing.get_origin(self.type) is Mapping

    @property
    def path_types(self) -> tuple[Any, ...]:
        """The types of a :data:`Path`; what is below a leaf is a name or a number."""
        return (*self.keys, str | int) if self.leaf else self.keys

    @property
    def is_exits(self) -> bool:
        """Whether it has the counts of exits."""
        return self.pick is _count

    def columns(self, value: Mapping[Any, Any]) -> Iterator[Column]:
        """Yield the counts of a value; some may be :data:`ABSENT`."""
        return self._below(value, (), len(self.keys))

    def exits(self, places: Sequence[Place], counts: Sequence[int]) -> Mapping[Place, Exits]:
        """Return exits with these counts."""
        if 0 in counts:  # which columns would leave out
            found = zip(places, counts, strict=True)
            return {place: count_only(n) for place, n in found if n != ABSENT}
        if ABSENT in counts:
            counts = [n * (n > 0) for n in counts]
        return Counted(places, counts)

    def empty(self, value: Mapping[Any, Any]) -> Iterator[Path]:
        """Yield the paths of empty mappings in a value."""
        return _empty(value, (), len(self.keys))

    def value(self, counts: dict[Any, Any]) -> dict[Any, Any]:
        """Return the value with these counts: mappings down to the last key of a path."""
        return self._with_leaves(counts, len(self.keys)) if self.leaf else counts

    def _below(self, mapping: Mapping[Any, Any], path: Path, depth: int) -> Iterator[Column]:
        if depth > 1:
            for key, item in mapping.items():
                yield from self._below(item, (*path, key), depth - 1)
        elif isinstance(mapping, Counted):
            if not self.leaf:  # it has no latencies
                yield path, mapping.places, [n or ABSENT for n in mapping.counts]
        elif self.leaf:
            for key, item in mapping.items():
                if (picked := self.pick(item)) is not None:
                    counts = self.leaf.counts(picked)
                    yield (*path, key), [*counts], [*counts.values()]
        else:
            found = {k: n for k, item in mapping.items() if (n := self.pick(item)) is not None}
            yield path, [*found], [*found.values()]

    def _with_leaves(self, counts: dict[Any, Any], depth: int) -> Any:
        if depth:
            return {key: self._with_leaves(item, depth - 1) for key, item in counts.items()}
        return self.leaf.value(counts) if self.leaf else counts


def _empty(mapping: Mapping[Any, Any], path: Path, depth: int) -> Iterator[Path]:
    if not mapping:
        yield path
    elif depth > 1:
        for key, item in mapping.items():
            yield from _empty(item, (*path, key), depth - 1)


@functools.cache
def fields() -> Mapping[str, Field]:
    """Return the fields by name, without those of :data:`ALWAYS`."""
    hints = typing.get_type_hints(Sample, include_extras=True)
    return {
        field.name: field
        for f in attrs.fields(Sample)
        if f.name not in ALWAYS
        for field in _fields(f.name, _without_none(hints[f.name]), _default(f.default))
    }


@functools.cache
def counters() -> tuple[Field, ...]:
    """Return the fields that are counters."""
    return tuple(field for field in fields().values() if field.keys)


@functools.cache
def others() -> tuple[Field, ...]:
    """Return the fields that are not counters."""
    return tuple(field for field in fields().values() if not field.keys)


def together(values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a sample from the values of all :func:`fields`."""
    latencies = values.pop(_LATENCY)
    exits = dict(values["exits"])
    for code, places in latencies.items():
        at = exits[code] = dict(exits.get(code, {}))
        for place, latency in places.items():
            at[place] = Exits(at[place].count if place in at else 0, latency)
    return values | {"exits": exits}


def _fields(name: str, type_: Any, default: Any) -> Iterator[Field]:
    keys: list[Any] = []
    below = type_
    while typing.get_origin(below) is Mapping:
        key, below = typing.get_args(below)
        keys.append(key)
    if keys and default is attrs.NOTHING:
        default = {}
    if below is Exits:
        latency = _without_none(typing.get_type_hints(Exits)[_LATENCY])
        yield Field(name, type_, tuple(keys), None, default, name, _count)
        leaf = Leaf.of(latency)
        yield Field(_LATENCY, type_, tuple(keys), leaf, default, name, _latency)
    elif keys and below is int:
        yield Field(name, type_, tuple(keys), None, default, name)
    elif keys and _is_leaf(below):
        yield Field(name, type_, tuple(keys), Leaf.of(below), default, name)
    else:
        yield Field(name, type_, (), None, default, name)


def _count(exits: Exits) -> int | None:
    # Latencies at CPU -1 have no count of their own.
    return exits.count if exits.count or exits.latency is None else None


def _latency(exits: Exits) -> Histogram | None:
    return exits.latency


def _is_leaf(type_: Any) -> bool:
    """Return whether a class has only whole numbers and mappings from numbers to numbers."""
    if not attrs.has(type_):
        return False
    held = [_without_none(hint) for hint in typing.get_type_hints(type_).values()]
    return all(hint in (int, Mapping[int, int]) for hint in held)


def _without_none(type_: Any) -> Any:
    if not isinstance(type_, types.UnionType):
        return type_
    (one,) = (arg for arg in typing.get_args(type_) if arg is not types.NoneType)
    return one


def _default(default: Any) -> Any:
    # The class of attrs' factories has no public type.
    return default.factory() if hasattr(default, "factory") else default
