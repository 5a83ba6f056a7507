"""What the fields of a sample mean to code that handles all of them alike.

:class:`kstats.model.Sample` declares a :class:`Meaning` beside each field. Filters, merging,
replaying and the collector derive from it what they do, so that a new field is declared once.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import attrs

_KEY = "kstats"


@attrs.frozen
class Selection:
    """Threads that a filter selects.

    Attributes:
        threads: Their pid_tgid numbers.
        vcpus: (process ID, vCPU number) of those that run a vCPU.
    """

    threads: AbstractSet[int]
    vcpus: AbstractSet[tuple[int, int | None]] = frozenset()


def _unchanged(value: Any, _: Any) -> Any:
    return value


@attrs.frozen(eq=False)
class Meaning:
    """How code that handles all fields alike treats one of them.

    Attributes:
        merge: Combines the values of two consecutive samples, in their order. It may change the
            mappings of the first one.
        threads: Return the threads that a value has counts of.
        select: Return what is left of a value for the threads of a :class:`Selection`.
        only: Return what is left of a value for some exit codes.
        label: What the field holds, as in "LABEL were not recorded"; empty if no view requires it.
        command: The command that records it.
        name: What :attr:`kstats.recording.Header.counted` calls it, if not by the field's name.
    """

    merge: Callable[[Any, Any], Any]
    threads: Callable[[Any], Iterable[int]] = lambda _: ()
    select: Callable[[Any, Selection], Any] = _unchanged
    only: Callable[[Any, Collection[Any]], Any] = _unchanged
    label: str = ""
    command: str = ""
    name: str = ""


def means(
    kind: Meaning, label: str = "", command: str = "", name: str = ""
) -> Mapping[str, Meaning]:
    """Return the metadata of a field of that kind; the rest is for fields that views require."""
    return {_KEY: attrs.evolve(kind, label=label, command=command, name=name)}


@functools.cache
def meanings(cls: Any) -> Mapping[str, Meaning]:
    """Return the meaning of each field of ``cls`` by the field's name, in order."""
    return {field.name: field.metadata[_KEY] for field in attrs.fields(cls)}


@functools.cache
def requirements(cls: Any) -> Mapping[str, Meaning]:
    """Return the meanings of the fields of ``cls`` that views require, by recorded name."""
    return {means.name or name: means for name, means in meanings(cls).items() if means.label}


def counted_threads(sample: Any) -> set[int]:
    """Return the threads that a sample has counts of; some may not be in ``threads``."""
    return {thread for _, means, value in _values(sample) for thread in means.threads(value)}


def narrowed(sample: Any, narrow: Callable[[Meaning, Any], Any]) -> Any:
    """Return the sample with each field's value replaced by ``narrow(meaning, value)``."""
    return attrs.evolve(sample, **{n: narrow(means, value) for n, means, value in _values(sample)})


def _values(sample: Any) -> Iterator[tuple[str, Meaning, Any]]:
    cls: Any = type(sample)
    return ((name, means, getattr(sample, name)) for name, means in meanings(cls).items())


def copied(value: Any) -> Any:
    """Return ``value`` with its mappings copied, so that a merge may change them."""
    return {k: copied(v) for k, v in value.items()} if _is_changed(value) else value


def _is_changed(value: Any) -> bool:
    """Return whether merging changes a value; what can be added is replaced by the sum."""
    return isinstance(value, Mapping) and not hasattr(value, "__add__")


def _latest(_: Any, value: Any) -> Any:
    return value


def _add(total: Any, value: Any) -> Any:
    """Add the counts of ``value``; None, which is not measured, adds nothing."""
    if total is None or value is None:
        return copied(value) if total is None else total
    if not (_is_changed(total) and _is_changed(value)):
        return total + value
    if isinstance(next(iter(value.values()), None), Mapping):
        for key, item in value.items():
            total[key] = _add(total.get(key), item)
        return total
    for key, item in value.items():  # for each place of each sample: without a call
        known = total.get(key)
        total[key] = item if known is None else known + item
    return total


def _append(total: Any, value: Any) -> list[Any]:
    # A list while samples are merged: every addition to a tuple would copy all of it.
    appended = total if isinstance(total, list) else list(total)
    appended.extend(value)
    return appended


def _nothing(value: Any, _: Any) -> Any:
    return type(value)()


def _places(value: Mapping[Any, Mapping[Any, Any]]) -> Iterator[int]:
    return (place.thread for places in value.values() for place in places if place.thread)


def _at_threads(value: Mapping[Any, Mapping[Any, Any]], selection: Selection) -> dict[Any, Any]:
    return {
        key: {place: n for place, n in places.items() if place.thread in selection.threads}
        for key, places in value.items()
    }


def _exits_at_threads(value: Any, selection: Selection) -> dict[Any, Any]:
    return {code: places for code, places in _at_threads(value, selection).items() if places}


def _of_threads(value: Any, selection: Selection) -> Any:
    return value and {key: item for key, item in value.items() if key in selection.threads}


def _of_processes(value: Mapping[int, Any], selection: Selection) -> dict[int, Any]:
    pids = {thread >> 32 for thread in selection.threads}
    return {pid: item for pid, item in value.items() if pid in pids}


def _of_vcpus(value: Any, selection: Selection) -> Any:
    return value and {
        vcpu: item for vcpu, item in value.items() if (vcpu.pid, vcpu.vcpu) in selection.vcpus
    }


def _of_codes(value: Mapping[Any, Any], codes: Collection[Any]) -> dict[Any, Any]:
    return {code: item for code, item in value.items() if code in codes}


FACT = Meaning(_latest)
"""A fact about the host or the sample: the latest holds."""

UNION = Meaning(operator.or_)
"""Key → fact: what is known of each key, the latest holds."""

FLAG = Meaning(operator.or_)
"""Something that is true of a sample if it is true of one of its parts."""

NOTES = Meaning(lambda total, value: tuple(dict.fromkeys((*total, *value))))
"""Lines for people, each once."""

TOTAL = Meaning(_add)
"""A count of the whole host, which filters keep as it is."""

BY_CPU = Meaning(_add, select=_nothing)
"""CPU → count, of all threads and reasons."""

DROPPED_BY_CPU = attrs.evolve(BY_CPU, only=_nothing)
"""CPU → count of exits that cannot be told apart by reason either."""

EXITS = Meaning(_add, _places, _exits_at_threads, _of_codes)
"""Code → place → exits."""

BY_PLACE = Meaning(_add, _places, _at_threads)
"""Any key → place → count."""

BY_THREAD = Meaning(_add, lambda value: value or (), _of_threads)
"""Thread → amount that can be added."""

WHO = Meaning(operator.or_, select=_of_threads)
"""Thread → what is known about it; it has no counts."""

BY_PROCESS = Meaning(operator.or_, select=_of_processes)
"""Process → what is known about it; it has no counts."""

COUNTED_BY_PROCESS = Meaning(_add, select=_of_processes)
"""Process → any key → count; it belongs to no thread."""

SET_OF_THREADS = Meaning(_latest, select=lambda value, selection: value & selection.threads)
"""Threads of which something holds; they have no counts."""

BY_VCPU = Meaning(_add, select=_of_vcpus)
"""vCPU → any key → count."""

ONE_BY_ONE = Meaning(
    _append,
    lambda value: (exit_.place.thread for exit_ in value if exit_.place.thread),
    lambda value, selection: tuple(e for e in value if e.place.thread in selection.threads),
    lambda value, codes: tuple(exit_ for exit_ in value if exit_.code in codes),
)
"""Single exits in order."""
