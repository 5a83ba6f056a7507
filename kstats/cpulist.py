"""CPU lists as the kernel and its tools write them: ``0-3,8``."""

from __future__ import annotations

import re

from kstats.errors import UsageError

MOST_CPUS = 1 << 16
"""Beyond any host; keeps ``0-4000000000`` from being spelled out."""

_ITEM = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


def parse(text: str) -> tuple[int, ...]:
    """The CPUs of a list, ascending, each once.

    Raises:
        UsageError: not a list, an empty one, a range backwards, or a number that is too large.
    """
    cpus: set[int] = set()
    for item in text.strip().split(","):
        cpus.update(_range(item.strip(), text))
    return tuple(sorted(cpus))


def _range(item: str, text: str) -> range:
    match = _ITEM.fullmatch(item)
    if not match:
        raise UsageError(f"{text!r} is no list of CPUs", "write it like 0-3,8")
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last:
        raise UsageError(f"{item!r} runs backwards", f"write it {last}-{first}")
    if last >= MOST_CPUS:
        raise UsageError(f"there is no CPU {last}", f"CPU numbers are below {MOST_CPUS}")
    return range(first, last + 1)
