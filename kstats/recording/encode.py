"""Encodes samples as lines. A line has only what changed since the previous one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter, sub
from typing import Any

from kstats.model import Sample
from kstats.recording.codec import Differences, structure, unstructure
from kstats.recording.decode import check_counts, check_elapsed, learned, run_of
from kstats.recording.fields import Path, counters, fields, others
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
        counts = dict(_counts(sample))
        key = not self._left or len(self._index) > 2 * len(counts) + _SPARE
        if key:
            self._begin()
        self._left -= 1
        said: dict[str, Any] = {"type": "sample", "time": sample.time, "elapsed": sample.elapsed}
        parts = {
            "key": key,
            "facts": dict(self._changed_facts(sample)),
            "empty": dict(self._changed_empty(sample)),
            "series": self._announced(counts),
            "counts": self._differences(counts),
        }
        return _line(said | {name: part for name, part in parts.items() if part})

    def _begin(self) -> None:
        self._index: dict[Path, int] = {}
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

    def _announced(self, counts: Mapping[Path, int]) -> dict[str, Any]:
        """Return the runs of new series by field, and number the series."""
        new = [path for path in counts if path not in self._index]
        self._index.update((path, i) for i, path in enumerate(new, len(self._index)))
        self._last += [0] * len(new)
        runs: dict[str, Any] = {}
        for (name, *parents), paths in groupby(new, itemgetter(slice(-1))):
            run = [unstructure(parents), [unstructure(path[-1]) for path in paths]]
            run_of(fields()[name], *run)
            runs.setdefault(name, []).append(run)
        return runs

    def _differences(self, counts: Mapping[Path, int]) -> list[int]:
        now = [0] * len(self._last)
        for path, n in counts.items():
            now[self._index[path]] = n + 1  # 0: it is not there
        check_counts(now)
        differences = list(map(sub, now, self._last))
        self._last = now
        while differences and not differences[-1]:
            differences.pop()
        structure(differences, Differences)
        return differences


def _counts(sample: Sample) -> Iterator[tuple[Path, int]]:
    """Yield every count of a sample with its field and path."""
    for field in counters():
        for path, n in field.counts(getattr(sample, field.source) or {}):
            yield (field.name, *path), n


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
