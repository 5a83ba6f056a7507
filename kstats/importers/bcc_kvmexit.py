"""Read the output of bcc's kvmexit: a title, a header with the columns, a line per reason.

::

Display kvm exit reasons and statistics for all threads... Hit Ctrl-C to end.
PID      TID      KVM_EXIT_REASON                     COUNT
1273551  1273568  MSR_WRITE                           6
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kstats.arch.base import Isa
from kstats.importers.evidence import Clue, by_name
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import NO_THREAD, SampleBuilder
from kstats.model import Sample

_TITLE = re.compile(r"Display kvm exit reasons and statistics for ")
_SECONDS = re.compile(r" after sleeping (\d{1,9}(?:\.\d{1,9})?) secs\.$", re.ASCII)
_HEADER = re.compile(r"(?P<columns>(?:(?:PID|TIDS?)\s+)*)KVM_EXIT_REASON\s+COUNT\s*")
_ROW = re.compile(
    r"(?P<numbers>(?:\d{1,10}\s+){0,2})(?P<name>\S(?:.*?\S)?)\s+(?P<count>\d{1,18})\s*", re.ASCII
)
_NAMELESS = "N/A"
"""What kvmexit prints for codes without a name."""


def fits(text: str) -> bool:
    """Return whether this is the title or the header."""
    return bool(_TITLE.match(text) or _HEADER.fullmatch(text))


def clues(lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
    """Yield a clue for each row."""
    for line in lines:
        row = _ROW.fullmatch(line.text)
        if row:
            yield by_name(isas, row["name"], int(row["count"]))


def read(
    lines: Iterable[Line], isa: Isa, problems: Problems, _interval: float | None
) -> Iterator[Sample]:
    """Yield one sample: kvmexit prints once."""
    builder = SampleBuilder(isa)
    columns: list[str] = []
    elapsed = 0.0
    for line in lines:
        header = _HEADER.fullmatch(line.text)
        row = _ROW.fullmatch(line.text) if line.whole else None
        if header:
            columns = header["columns"].split()
        elif _TITLE.match(line.text):
            seconds = _SECONDS.search(line.text)
            elapsed = float(seconds[1]) if seconds else elapsed
        elif line.text.strip() and not (row and _count(row, columns, builder, problems)):
            problems.add(line, int(row["count"]) if row else 0)
    yield builder.sample(0, elapsed)


def _count(
    row: re.Match[str], columns: list[str], builder: SampleBuilder, problems: Problems
) -> bool:
    numbers = [int(number) for number in row["numbers"].split()]
    if len(numbers) != len(columns):
        return False
    count = int(row["count"])
    if row["name"] == _NAMELESS:
        builder.nameless(count)
        problems.remark(f"{_NAMELESS}: exits without a name; kvmexit does not print their codes")
        return True
    return builder.named("kvmexit", row["name"], count, problems, _thread(numbers, builder))


def _thread(numbers: list[int], builder: SampleBuilder) -> int:
    """Return the thread of a row; ``numbers`` are process and thread, only the thread, or none."""
    if not numbers:
        return NO_THREAD
    return builder.thread(numbers[0] if numbers[1:] else 0, numbers[-1])
