"""Read what kvm_stat prints: its screen, its batch mode (``-1``), and its log (``-l``, ``-c``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from kstats.arch.base import Isa
from kstats.importers import kvm_stat_log, kvm_stat_screen
from kstats.importers.evidence import Clue
from kstats.importers.lines import Line, Problems
from kstats.importers.tables import Tables, cleaned
from kstats.importers.trace_lines import clean
from kstats.model import Sample

_SCREEN = Tables("kvm_stat", kvm_stat_screen.parse)


def fits(text: str) -> bool:
    """Return whether only kvm_stat writes this line, and it has exits."""
    text = clean(text)
    return kvm_stat_log.fits(text) or kvm_stat_screen.fits(text)


def clues(lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
    """Yield a clue for each name of an exit."""
    is_log, every = _is_log(lines)
    yield from (kvm_stat_log.clues if is_log else _SCREEN.clues)(every, isas)


def read(
    lines: Iterable[Line], isa: Isa, problems: Problems, interval: float | None
) -> Iterator[Sample]:
    """Yield samples of ``interval`` seconds from a log with times; otherwise, one sample."""
    is_log, every = _is_log(lines)
    reader: Callable[..., Iterator[Sample]] = kvm_stat_log.read if is_log else _SCREEN.read
    yield from reader(every, isa, problems, interval)


def _is_log(lines: Iterable[Line]) -> tuple[bool, Iterator[Line]]:
    """Return whether the first line that decides is of a log, and all lines."""
    rest = cleaned(lines)
    seen: list[Line] = []
    for line in rest:
        seen.append(line)
        if kvm_stat_log.fits(line.text):
            return True, chain(seen, rest)
        if kvm_stat_screen.fits(line.text):
            break
    return False, chain(seen, rest)
