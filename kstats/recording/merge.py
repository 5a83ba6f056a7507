"""Samples that follow each other, as one sample of the time that they took together."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from kstats.model import Sample
from kstats.recording.fields import Field, fields


def merged(samples: Iterable[Sample], interval: float) -> Iterator[Sample]:
    """Samples of about ``interval`` seconds each, of shorter ones; longer ones stay as they are.

    The last is of what is left. So a recording made every second shows what one made every
    minute would have.
    """
    parts: _Sum | None = None
    for sample in samples:
        if parts is None:
            parts = _Sum(sample)
        else:
            parts.add(sample)
        if parts.elapsed >= interval - sample.elapsed / 2:
            yield parts.sample()
            parts = None
    if parts is not None:
        yield parts.sample()


class _Sum:
    """Samples of one host added up: counts are summed, of facts the last one holds."""

    def __init__(self, first: Sample) -> None:
        self._last = first
        self._values: dict[str, Any] = {}
        self.elapsed = first.elapsed

    def add(self, sample: Sample) -> None:
        """Adds the sample after the last one."""
        if not self._values:
            self._values = {name: _copy(getattr(self._last, name)) for name in fields()}
        for name, field in fields().items():
            value = getattr(sample, name)
            self._values[name] = _RULES.get(name, _rule(field))(self._values[name], value)
        self.elapsed += sample.elapsed
        self._last = sample

    def sample(self) -> Sample:
        """The sum; of a single sample, itself."""
        if not self._values:
            return self._last
        return Sample(time=self._last.time, elapsed=self.elapsed, **self._values)


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _add(total: Any, value: Any) -> Any:
    """Adds counts to those of ``total``, which grows if it is a mapping."""
    if total is None or value is None:
        return _copy(value) if total is None else total
    if isinstance(value, Mapping):
        for key, item in value.items():
            total[key] = _add(total[key], item) if key in total else _copy(item)
        return total
    if hasattr(value, "__add__"):
        return total + value
    names = [field.name for field in attrs.fields(type(value))]
    sums = {name: _add(getattr(total, name), getattr(value, name)) for name in names}
    return attrs.evolve(total, **sums)


def _last(_: Any, value: Any) -> Any:
    return value


def _rule(field: Field) -> Callable[[Any, Any], Any]:
    if field.keys or field.type is int:
        return _add
    return operator.or_ if field.is_directory else _last


_RULES: Mapping[str, Callable[[Any, Any], Any]] = {
    "notes": lambda before, after: tuple(dict.fromkeys((*before, *after))),
    "slow": operator.add,
}
"""Fields that go by a rule of their own."""
