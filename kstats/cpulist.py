"""Parse CPU lists in the syntax of the kernel and its tools: ``0-3,8``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kstats.errors import UsageError

MOST_CPUS = 1 << 16
"""More than any host has. The limit keeps ``0-4000000000`` from filling the memory."""

_ITEM = r"(\d{1,6})(?:-(\d{1,6}))?"


def parse(text: str) -> tuple[int, ...]:
    """Return the CPUs of a list in ascending order, without duplicates.

    Raises:
        UsageError: the list is invalid or empty, a range is reversed, or a number is too large.
    """
    cpus: set[int] = set()
    for item in text.strip().split(","):
        cpus.update(_range(item.strip(), text))
    return tuple(sorted(cpus))


def _range(item: str, text: str) -> range:
    match = re.fullmatch(_ITEM, item, re.ASCII)
    if not match:
        raise UsageError(f"invalid CPU list {text!r}", "write it like 0-3,8")
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last:
        raise UsageError(f"reversed CPU range {item!r}", f"write it {last}-{first}")
    if last >= MOST_CPUS:
        raise UsageError(f"invalid CPU number {last}", f"CPU numbers are below {MOST_CPUS}")
    return range(first, last + 1)


def text(cpus: Iterable[int]) -> str:
    """Return the list of ascending CPUs in this syntax."""
    ranges: list[list[int]] = []
    for cpu in cpus:
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)
