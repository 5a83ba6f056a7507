"""Decodes lines to samples."""

from __future__ import annotations

import json
import typing
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import add
from typing import Any, NoReturn

import attrs

from kstats.escape import printable
from kstats.histogram import BUCKETS
from kstats.model import Sample
from kstats.recording.codec import MOST, Differences, structure
from kstats.recording.errors import HeaderError, LineError
from kstats.recording.fields import ABSENT, Field, Path, counters, fields, others, together
from kstats.recording.header import FORMAT, READABLE, VERSION, Header

MOST_SERIES = 1 << 21
"""The limit of series in a sample, so that a hostile file does not fill the memory."""

MOST_OBJECTS = 1 << 19
MOST_LISTS = MOST_SERIES + (1 << 20)
MOST_ITEMS = 5 * MOST_SERIES
"""The limits of objects, lists and items in a line, counted before it is parsed.

A line of 64 MiB that compresses to 6 kB can hold eleven million objects, which take 2 GB. A
series is at most a list of three items, and a count; objects describe threads and slow exits.
"""

SHORTEST = 1e-9
"""The shortest elapsed time, in seconds, that is not zero: rates must not overflow."""

_RUNS = list[tuple[list[Any], list[Any]]]


@attrs.frozen(eq=False)
class Line:
    """A sample as it is written: the changes since the previous one.

    Attributes:
        time, elapsed: As in the sample.
        key: Whether no earlier line is needed to decode this one.
        facts: Fields that changed, by name. A directory has the pairs that changed; null removes.
        series: The counters that come for the first time, by field, in runs: the keys above,
            and the last keys of the series below them.
        empty: By field, the keys below which a mapping is there, but empty; as long as nothing
            else is said.
        counts: By how much each series changed, in the order they were announced; those left
            out at the end did not.
    """

    time: float
    elapsed: float
    key: bool = False
    facts: dict[str, Any] = attrs.field(factory=dict)
    empty: dict[str, Any] = attrs.field(factory=dict)
    series: dict[str, Any] = attrs.field(factory=dict)
    counts: Differences = attrs.field(factory=lambda: Differences([]))


@attrs.frozen(eq=False)
class _Run:
    """Series that were announced together: counts of one field below the same keys."""

    field: Field | None
    parents: tuple[Any, ...]
    keys: list[Any]


class _Series:
    """The series of one field below the same keys, which may be announced in several runs.

    Attributes:
        field: The field.
        keys: The last key of each series.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.keys: list[Any] = []
        self._announced: set[Any] = set()
        self._slices: list[slice] = []
        self._places: tuple[Any, ...] | None = None

    def announce(self, keys: list[Any], first: int) -> None:
        """Add series that are numbered from ``first`` on; raise LineError."""
        self._announced.update(keys)
        self.keys += keys
        if len(self._announced) < len(self.keys):
            raise LineError("a series is announced twice")
        self._slices.append(slice(first, first + len(keys)))
        self._places = None

    def of(self, counts: list[int]) -> list[int]:
        """Return the counts of these series, of all."""
        if len(self._slices) == 1:
            return counts[self._slices[0]]
        return [n for part in self._slices for n in counts[part]]

    def places(self, shared: dict[tuple[Any, ...], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the keys; the same object for all series and samples with the same keys."""
        if self._places is None:
            keys = tuple(self.keys)
            self._places = shared.setdefault(keys, keys)
        return self._places


class Decoder:
    """Decodes lines in order; ``header`` belongs to the samples that follow it."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self._begun = False
        self._begin()

    def forget(self) -> None:
        """Refuse changes until the next line that needs no earlier one: a line was damaged."""
        self._begun = False

    def line(self, text: str) -> Sample | None:
        """Return the sample of the next line; None if the line has none.

        Raises:
            LineError: The line is not valid here. The text says why.
        """
        _check_size(text)
        said = _object(text)
        kind = structure(said.get("type"), str)
        if self.header is None and kind != "header":
            raise LineError("not a kstats recording: the first line is not a header")
        if kind == "header":
            self._header(said)
        # Lines of other types are additions of later versions.
        return self._sample(structure(said, Line)) if kind == "sample" else None

    def _header(self, said: Mapping[str, Any]) -> None:
        if said.get("format") != FORMAT:
            raise HeaderError("not the header of a kstats recording")
        version = structure(said.get("version"), int)
        if version not in READABLE:
            raise HeaderError(
                f"format version {version} needs a newer kstats; this one reads version {VERSION}"
            )
        header = structure(said, Header)
        before = self.header
        if before is not None and before.subject != header.subject:
            raise HeaderError(
                f"the recording of another host starts here: {header.subject_text}, "
                f"not {before.subject_text}",
                "split the file with head -n and tail -n; kstats compare reads both parts",
            )
        self.header = header
        self._begun = False

    def _begin(self) -> None:
        self._facts: dict[str, Any] = {field.name: field.default for field in others()}
        self._empty: dict[str, list[Path]] = {}
        self._series: dict[Path, _Series] = {}
        self._shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._counts: list[int] = []

    def _sample(self, line: Line) -> Sample:
        if line.key:
            self._begin()
        elif not self._begun:
            raise LineError(
                "the lines before are missing, and this one has only changes",
                'the header, and everything from the next line with "key":true on, can be read',
            )
        self._begun = False  # until all of it is understood
        check_elapsed(line.elapsed)
        self._learn(line.facts)
        self._empty |= {name: _paths(name, paths) for name, paths in line.empty.items()}
        for name, runs in line.series.items():
            try:
                self._announce(name, structure(runs, _RUNS))
            except LineError as error:
                raise error.inside(name) from error
        self._count(line.counts)
        fields_: dict[str, Any] = together(self._facts | self._counters())
        sample = Sample(time=line.time, elapsed=line.elapsed, **fields_)
        self._begun = True
        return sample

    def _learn(self, facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            field = fields().get(name)
            if field is None or field.keys:
                continue  # an addition of a later version
            self._facts[name] = learned(field, self._facts[name], value)
        missing = [name for name, value in self._facts.items() if value is attrs.NOTHING]
        if missing:
            raise LineError(f"{missing[0]} is missing")

    def _announce(self, name: str, runs: list[tuple[list[Any], list[Any]]]) -> None:
        field = fields().get(name)
        for parents, keys in runs:
            if len(self._counts) + len(keys) > MOST_SERIES:
                raise LineError(f"more than {MOST_SERIES} series")
            run = run_of(field, parents, keys)
            if run.field is not None:
                path = (name, *run.parents)
                series = self._series.setdefault(path, _Series(run.field))
                series.announce(run.keys, len(self._counts))
            self._counts += [ABSENT] * len(keys)

    def _count(self, changes: Differences) -> None:
        if len(changes) > len(self._counts):
            raise LineError("more counts than series")
        counts = list(map(add, self._counts, changes))
        check_counts(counts)
        self._counts[: len(counts)] = counts

    def _counters(self) -> dict[str, Any]:
        found: dict[str, dict[Any, Any]] = {}
        for name, paths in self._empty.items():
            for path in paths:
                _reach(found, (name, *path))
        for path, series in self._series.items():
            counts = series.of(self._counts)
            if max(counts, default=ABSENT) == ABSENT:
                continue
            if series.field.is_exits:
                *above, last = path
                _reach(found, above)[last] = series.field.exits(series.places(self._shared), counts)
            else:
                pairs = zip(series.keys, counts, strict=True)
                _reach(found, path).update((key, n) for key, n in pairs if n != ABSENT)
        known = {name: fields()[name].value(value) for name, value in found.items()}
        return {field.name: field.default for field in counters()} | known


def _reach(mapping: dict[Any, Any], path: Iterable[Any]) -> dict[Any, Any]:
    """Return the mapping below the keys of ``path``; create it if it is missing."""
    for key in path:
        mapping = mapping.setdefault(key, {})
    return mapping


def check_elapsed(seconds: float) -> None:
    """Raise LineError for an elapsed time of a sample that is too short."""
    if 0 < seconds < SHORTEST:
        raise LineError(f"elapsed: {seconds:g} seconds are out of range")


def check_counts(values: list[int]) -> None:
    """Raise LineError unless the values of all series are in range."""
    if values and not ABSENT <= min(values) <= max(values) <= MOST:
        raise LineError("a count is not between 0 and 2**64-1")


def learned(field: Field, before: Any, value: Any) -> Any:
    """Return a fact from its JSON value, or a directory after changes; raise LineError."""
    try:
        if field.is_directory:
            return _changed(field, before, value)
        return structure(value, field.type)
    except LineError as error:
        raise error.inside(field.name) from error


def _check_size(text: str) -> None:
    """Refuse a line that would take many times its size as Python objects."""
    limits = (
        ("{", MOST_OBJECTS, "objects"),
        ("[", MOST_LISTS, "lists"),
        (",", MOST_ITEMS, "items"),
    )
    for mark, most, what in limits:
        if text.count(mark) > most:
            raise LineError(f"more than {most} {what}")


def _object(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text, parse_constant=_no_number, object_pairs_hook=_no_key_twice)
    except json.JSONDecodeError as error:
        raise LineError(f"invalid JSON at character {error.pos + 1}: {error.msg}") from error
    except RecursionError as error:
        raise LineError("nested too deeply") from error
    except LineError:
        raise
    except ValueError as error:
        raise LineError("a number is too large") from error
    if not isinstance(said, dict):
        raise LineError("not a JSON object")
    return said


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Of a key that comes twice, parsers keep the first or the last value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise LineError(f'the key "{printable(key)}" comes twice')
    return found


def _no_number(text: str) -> NoReturn:
    raise LineError(f"{text} is not a number")


def _changed(field: Field, before: Mapping[Any, Any], pairs: Any) -> dict[Any, Any]:
    """Return a directory after changes to some of its pairs; null removes a key."""
    key_type, item_type = typing.get_args(field.type)
    now = dict(before)
    changed = set()
    for key, item in structure(pairs, list[tuple[Any, Any]]):
        known = structure(key, key_type)
        if known in changed:
            raise LineError("a key comes twice")
        changed.add(known)
        if item is None:
            now.pop(known, None)
        else:
            now[known] = structure(item, item_type)
    return now


def _paths(name: str, paths: Any) -> list[Path]:
    """Return the keys of empty mappings; nothing for fields of a later version."""
    known = structure(paths, list[list[Any]])
    field = fields().get(name)
    return [_parents(field, keys) for keys in known] if field and field.keys else []


def _parents(field: Field, keys: list[Any]) -> Path:
    if len(keys) >= len(field.path_types):
        raise LineError(f"{field.name} cannot have {len(keys)} keys above a count")
    return tuple(map(structure, keys, field.path_types))


def run_of(field: Field | None, parents: list[Any], keys: list[Any]) -> _Run:
    """Return series that are announced; raise LineError."""
    if field is None or not field.keys:
        return _Run(None, (), keys)  # a later version's
    *above, last = field.path_types
    if len(parents) != len(above):
        raise LineError(f"a series of {field.name} cannot have {len(parents) + 1} keys")
    known = [structure(key, last) for key in keys]
    # A bucket's bounds are powers of two: those of a huge number would fill memory.
    buckets = [key for key in known if isinstance(key, int)] if field.leaf else []
    if buckets and not 0 <= min(buckets) <= max(buckets) < BUCKETS:
        raise LineError(f"a bucket is not between 0 and {BUCKETS - 1}")
    return _Run(field, _parents(field, parents), known)
