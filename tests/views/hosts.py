"""Runs of samples as hosts give them: vCPUs of two VMs, exits at known rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from kstats.model import Code, Sample
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import MOMENT, At, placed, sample

WEB, DB = Vm(100, 1, Kind.QEMU, "web"), Vm(200, 2, Kind.FIRECRACKER, "db")


def number(tid: int, pid: int) -> int:
    """The kernel's pid_tgid of a thread."""
    return pid << 32 | tid


WEB_0, WEB_1, DB_0 = number(101, 100), number(102, 100), number(201, 200)
THREADS = {
    WEB_0: Thread(101, 100, 0, WEB),
    WEB_1: Thread(102, 100, 1, WEB),
    DB_0: Thread(201, 200, 0, DB),
}


def happened(
    exits: Mapping[Code, Mapping[At, int]],
    threads: Mapping[int, Thread] = THREADS,
    **fields: Any,
) -> Sample:
    """A sample of these exits, on a host of two CPUs where these threads run vCPUs."""
    return attrs.evolve(sample(), exits=placed(exits), threads=threads, **fields)


def steady(
    code: Code, counts: Sequence[int], threads: Mapping[int, Thread] = THREADS, **fields: Any
) -> Iterator[Sample]:
    """A sample a second; each has so many exits, all of web's first vCPU on CPU 0."""
    for i, n in enumerate(counts):
        exits = {code: {(0, WEB_0 if threads else 0): n}} if n else {}
        yield happened(exits, threads, time=MOMENT + i, **fields)
