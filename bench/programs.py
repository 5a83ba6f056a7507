"""The BPF programs: their instructions, and the bytes of machine code that the kernel makes."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from bench.table import Table
from tests.collector.sizes import programs, sizes


def tables() -> Iterator[Table]:
    """Yield the sizes of all programs."""
    rows = [attrs.astuple(size) for size in sizes(programs(), "prebuilt")]
    headings = ("view", "isa", "probe", "function", "instructions", "bytes")
    yield Table("programs: BPF instructions, bytes of machine code", headings, rows)
