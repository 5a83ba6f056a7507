"""Read the log of kvm_stat: a line of names, then a line of differences each second.

::

timestamp,kvm_exit,kvm_exit(CPUID),kvm_exit(HLT)                      kvm_stat -l -c
2026-01-31 12:00:01,214,200,14

kvm_exit kvm_exit(CPUID) kvm_exit(HLT)                                kvm_stat -l
2026-01-31 12:00:01       214       200        14
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from kstats.arch.base import Isa
from kstats.importers.evidence import Clue, by_name
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import SampleBuilder
from kstats.model import Sample

_CSV = "timestamp,"
_KEY = re.compile(r"[A-Za-z]\w{0,63}(?:\([^()\s,]{1,64}\))?", re.ASCII)
_EXIT = re.compile(r"kvm_exit\((?P<name>[^()\s,]{1,64})\)")
_ROW = re.compile(
    r"(?:(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[,\s])?\s*(?P<numbers>-?\d[\d,\s-]*)", re.ASCII
)
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_ALL, _ENTRY = "kvm_exit", "kvm_entry"
_DEFAULT_INTERVAL = 1.0


def fits(text: str) -> bool:
    """Return whether this is a line of names that includes exits."""
    return any(key == _ALL or _EXIT.fullmatch(key) for key in _keys(text))


def clues(lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
    """Yield a clue for each name in a heading; many of them had no exits."""
    for line in lines:
        for key in _keys(line.text):
            if match := _EXIT.fullmatch(key):
                yield by_name(isas, match["name"])


def read(
    lines: Iterable[Line], isa: Isa, problems: Problems, interval: float | None
) -> Iterator[Sample]:
    """Yield samples of ``interval`` seconds, or one sample.

    Times are taken for UTC, because kvm_stat writes local time without a zone, in whole seconds.
    The interval before the first row is unknown and taken for kvm_stat's default, a second. Logs
    without times, from kernels before 5.8, make one sample.
    """
    builder = SampleBuilder(isa)
    start = last = 0.0
    for time, row in _rows(lines, problems):
        _count(row, builder, problems)
        if time is None:
            problems.remark("the log has no times")
            continue
        start = start or time - _DEFAULT_INTERVAL
        last = max(last, time)
        if interval is not None and last >= start + interval:
            yield builder.sample(last, last - start)
            start = last
    if not builder.is_empty:
        yield builder.sample(last, last - start)


def _rows(
    lines: Iterable[Line], problems: Problems
) -> Iterator[tuple[float | None, dict[str, int]]]:
    """Yield the time, if the log has times, and the numbers by name of each row."""
    keys: list[str] = []
    for line in lines:
        row = _ROW.fullmatch(line.text) if line.whole else None
        if row is None:
            keys = _new_keys(line, keys, problems)
            continue
        time = _time(row["time"]) if row["time"] else None
        numbers = [int(n) for n in _NUMBER.findall(row["numbers"])]
        if (time is None and row["time"]) or len(numbers) != len(keys):
            problems.add(line)
        else:
            yield time, dict(zip(keys, numbers, strict=True))


def _new_keys(line: Line, keys: list[str], problems: Problems) -> list[str]:
    """Return the names of a heading, which is repeated; report any other line as a problem."""
    if line.whole and fits(line.text):
        return _keys(line.text)
    if line.text.strip():
        problems.add(line)
    return keys


def _keys(text: str) -> list[str]:
    words: Sequence[str] = text.split(",")[1:] if text.startswith(_CSV) else text.split()
    return list(words) if all(map(_KEY.fullmatch, words)) else []


def _time(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _count(row: dict[str, int], builder: SampleBuilder, problems: Problems) -> None:
    named = 0
    for key, n in row.items():
        match = _EXIT.fullmatch(key)
        if match and n > 0 and builder.named("kvm_stat", match["name"], n, problems):
            named += n
    rest = row.get(_ALL, 0) - named
    if rest > 0:
        builder.nameless(rest)
        problems.remark("?: exits in the sum of kvm_stat that have no row of their own")
    builder.entries(n=max(row.get(_ENTRY, 0), 0))
