"""Series of samples: vCPUs of two VMs, with exits at known rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from kstats.model import Code, Sample
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import MOMENT, At, placed, sample

WEB, DB = Vm(100, 1, Kind.QEMU, "web"), Vm(200, 2, Kind.FIRECRACKER, "db")


def number(tid: int, pid: int) -> int:
    """Return the kernel's pid_tgid of a thread."""
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
    """Return a sample of a host with two CPUs and these threads of vCPUs."""
    return attrs.evolve(sample(), exits=placed(exits), threads=threads, **fields)


def steady(
    code: Code, counts: Sequence[int], threads: Mapping[int, Thread] = THREADS, **fields: Any
) -> Iterator[Sample]:
    """Yield one sample per second with a fixed number of exits, all of web's vCPU 0 on CPU 0."""
    for i, n in enumerate(counts):
        exits = {code: {(0, WEB_0 if threads else 0): n}} if n else {}
        yield happened(exits, threads, time=MOMENT + i, **fields)
