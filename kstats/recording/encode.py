"""Encodes samples as lines. A line has only what changed since the previous one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from operator import sub
from typing import Any

import attrs

from kstats.model import Sample
from kstats.recording.codec import Differences, structure, unstructure
from kstats.recording.decode import check_counts, check_elapsed, learned, run_of
from kstats.recording.fields import ABSENT, Column, Path, counters, fields, others
from kstats.recording.header import FORMAT, VERSION, Header

KEY_EVERY = 600
"""The number of lines from one key line to the next."""

_SPARE = 1024


def header_line(header: Header) -> str:
    """Return the line of a header; raise LineError if no reader would accept it."""
    begin = {"type": "header", "format": FORMAT, "version": VERSION}
    said = unstructure(header)
    structure(said, Header)
    return _line(begin | said)


@attrs.define(eq=False)
class _Series:
    """The series of one field below the same keys.

    Attributes:
        index: The number of the series of each last key.
        keys: The last keys of the sample before.
        numbers: The numbers of their series.
    """

    index: dict[Any, int] = attrs.field(factory=dict)
    keys: Sequence[Any] = ()
    numbers: slice | list[int] = attrs.field(factory=list)

    def new(self, keys: Sequence[Any]) -> list[Any]:
        """Return the keys that have no series."""
        if keys is self.keys or keys == self.keys:
            return []
        return [key for key in keys if key not in self.index]

    def find(self, keys: Sequence[Any]) -> slice | list[int]:
        """Return the numbers of the series of these keys, as a slice if they are consecutive."""
        if keys is not self.keys and keys != self.keys:
            numbers = [self.index[key] for key in keys]
            there = slice(numbers[0], numbers[0] + len(numbers))
            self.numbers = there if numbers == [*range(there.start, there.stop)] else numbers
            self.keys = keys
        return self.numbers


class Encoder:
    """Encodes samples as lines, each as the changes since the previous one.

    Every :data:`KEY_EVERY` lines one stands for itself; also when most series are no longer in
    use, so that vCPUs that move from CPU to CPU do not make lines ever longer.
    """

    def __init__(self) -> None:
        self._begin()
        self._left = 0

    def line(self, sample: Sample) -> str:
        """Return the line of the next sample.

        Raises:
            LineError: No reader would accept it. Only a new encoder can go on.
        """
        structure(sample.time, float)
        check_elapsed(structure(sample.elapsed, float))
        found = list(_columns(sample))
        many = sum(len(counts) for _, _, counts in found)
        key = not self._left or len(self._last) > 2 * many + _SPARE
        if key:
            self._begin()
        self._left -= 1
        said: dict[str, Any] = {"type": "sample", "time": sample.time, "elapsed": sample.elapsed}
        parts = {
            "key": key,
            "facts": dict(self._changed_facts(sample)),
            "empty": dict(self._changed_empty(sample)),
            "series": self._announced(found),
            "counts": self._differences(found),
        }
        return _line(said | {name: part for name, part in parts.items() if part})

    def _begin(self) -> None:
        self._series: dict[Path, _Series] = {}
        self._last: list[int] = []
        self._facts = {field.name: field.default for field in others()}
        self._empty: dict[str, list[Path]] = {field.name: [] for field in counters()}
        self._left = KEY_EVERY

    def _changed_facts(self, sample: Sample) -> Iterator[tuple[str, Any]]:
        for field in others():
            before, now = self._facts[field.name], getattr(sample, field.name)
            if now is not before and now != before:
                self._facts[field.name] = now
                said = _pairs(before, now) if field.is_directory else unstructure(now)
                learned(field, {}, said)
                yield field.name, said

    def _changed_empty(self, sample: Sample) -> Iterator[tuple[str, Any]]:
        """Yield the fields whose empty mappings changed, with the keys above them."""
        for field in counters():
            value = getattr(sample, field.source)
            there = field.name == field.source and value is not None and value != field.default
            now = list(field.empty(value)) if there else []
            if now != self._empty[field.name]:
                self._empty[field.name] = now
                yield field.name, unstructure(now)

    def _announced(self, found: list[Column]) -> dict[str, Any]:
        """Return the runs of new series by field, and number the series."""
        runs: dict[str, Any] = {}
        for path, keys, _ in found:
            series = self._series.setdefault(path, _Series())
            if new := series.new(keys):
                name, *parents = path
                series.index.update(zip(new, itertools.count(len(self._last))))
                self._last += [ABSENT] * len(new)
                run = [unstructure(parents), unstructure(new)]
                run_of(fields()[name], *run)
                runs.setdefault(name, []).append(run)
        return runs

    def _differences(self, found: list[Column]) -> list[int]:
        now = [ABSENT] * len(self._last)
        for path, keys, counts in found:
            numbers = self._series[path].find(keys)
            if isinstance(numbers, slice):
                now[numbers] = counts
            else:
                for number, n in zip(numbers, counts, strict=True):
                    now[number] = n
        check_counts(now)
        before, self._last = self._last, now
        if now == before:
            return []
        differences = list(map(sub, now, before))
        while not differences[-1]:
            differences.pop()
        structure(differences, Differences)
        return differences


def _columns(sample: Sample) -> Iterator[Column]:
    """Yield the counts of a sample; the first of the keys above them is their field."""
    for field in counters():
        for path, keys, counts in field.columns(getattr(sample, field.source) or {}):
            if keys:
                yield (field.name, *path), keys, counts


def _pairs(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> list[Any]:
    """Return the pairs of a directory that changed, then the removed keys with None."""
    changed = [
        [unstructure(k), unstructure(v)]
        for k, v in now.items()
        if k not in before or before[k] != v
    ]
    return changed + [[unstructure(key), None] for key in before if key not in now]


def _line(said: Mapping[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":"), allow_nan=False) + "\n"
