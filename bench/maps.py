"""The kernel's memory for our maps, by the number of CPUs: computed, and checked where it can be.

The sums are those of ``map_mem_usage`` in kernel/bpf/arraymap.c and hashtab.c (Linux 6.4), whose
result a map's fdinfo shows as memlock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.table import Table
from kstats.host import Host
from kstats.loader import syscall
from tests.collector.sizes import Program, load, programs

CPUS = (8, 128, 640)
ARRAYS_OF_CPUS = {"counts"}
PERCPU_ARRAYS = {
    *("threads", "other_events", "latency_dropped", "time_dropped", "slow_budgets"),
    "first_exits_dropped",
}
RINGS = {"slow_exits", "first_exits"}
ISA, PROBE = "svm", "raw-btf"
_ELEMENT, _BUCKET, _HASH, _LOCKS = 48, 16, 448, 8 * 4
_TOLERANCE = 0.02


def memory(name: str, one: syscall.Map, cpus: int) -> int:
    """Bytes of a map on a host with so many possible CPUs."""
    value = _rounded(one.value_size)
    rooms = int(one.max_entries)
    if name in ARRAYS_OF_CPUS:
        return value // max(2, max(Host().possible_cpus()) + 1) * cpus
    if name in PERCPU_ARRAYS:
        return value * cpus * rooms
    if name in RINGS:
        return rooms
    buckets = 1 << (rooms - 1).bit_length()
    elements = (rooms + cpus) * (_ELEMENT + _rounded(one.key_size) + value)
    return _HASH + elements + buckets * _BUCKET + _LOCKS * cpus


def _rounded(size: int) -> int:
    return -(-size // 8) * 8


def _charged(one: syscall.Map) -> int:
    """What the running kernel says that the map takes."""
    text = Path(f"/proc/self/fdinfo/{one.fd}").read_text(encoding="ascii")
    return int(re.findall(r"^memlock:\s*(\d+)$", text, re.MULTILINE)[0])


def tables() -> Iterator[Table]:
    """Yield the MiB of each view's maps."""
    wanted = (p for p in programs() if (p.machine.source.isa, p.probe.name) == (ISA, PROBE))
    rows = [_row(program) for program in wanted]
    yield Table("the kernel's memory for maps, MiB", ("view", *map(_title, CPUS), "checked"), rows)


def _title(cpus: int) -> str:
    return f"{cpus} CPUs"


def _row(program: Program) -> tuple[str | float, ...]:
    with load(program, "prebuilt") as loaded:
        here = len(Host().possible_cpus())
        computed = sum(memory(name, one, here) for name, one in loaded.maps.items())
        charged = sum(map(_charged, loaded.maps.values()))
        close = abs(computed - charged) <= charged * _TOLERANCE
        checked = f"{computed / charged:.3f} of memlock here" + ("" if close else ": WRONG")
        return program.view, *(_mebibytes(loaded.maps, cpus) for cpus in CPUS), checked


def _mebibytes(maps: Mapping[str, syscall.Map], cpus: int) -> float:
    return sum(memory(name, one, cpus) for name, one in maps.items()) / (1 << 20)
