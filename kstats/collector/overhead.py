"""The overhead of kstats: the kernel's statistics of our programs, and our own time."""

from __future__ import annotations

import ctypes
import os
import time
from array import array
from typing import NamedTuple

from kstats.collector.tables import ThreadCount
from kstats.errors import PrivilegeError
from kstats.host import Host
from kstats.loader import syscall
from kstats.loader.program import Loaded
from kstats.loader.records import ONLY, WORD
from kstats.model import MapUsage, Overhead
from kstats.privileges import Capability, Need

MOMENT = 0.05
"""Seconds that the kernel times programs before each report. It adds two clock reads to every BPF
program on the host, so it is short."""

EXIT = "on_exit"
"""The function that every program runs at kvm_exit."""

_WORDS = ctypes.sizeof(ThreadCount) // WORD
_THREAD = ThreadCount.thread.offset // WORD


class _Ran(NamedTuple):
    nanoseconds: int
    exits: int


class Meter:
    """Measures the overhead of a loaded program.

    Attributes:
        overhead: The last measurement.
    """

    overhead: Overhead

    def __init__(self, loaded: Loaded, host: Host) -> None:
        """Prepare to measure ``loaded``, which runs on this host.

        Raises:
            PrivilegeError: The kernel's statistics may not be enabled.
        """
        self._loaded = loaded
        self._host = host
        self._last = (time.monotonic(), time.process_time())
        os.close(_enable())  # fail now, not after the first interval

    def measure(self) -> None:
        """Time our programs for :data:`MOMENT` seconds; return after that."""
        before, begun = self._ran(), time.monotonic()
        enabled = _enable()
        try:
            time.sleep(MOMENT)
        finally:
            os.close(enabled)
        passed, now = time.monotonic() - begun, self._ran()
        spent, exits = now.nanoseconds - before.nanoseconds, now.exits - before.exits
        self.overhead = Overhead(
            ns_per_exit=spent / exits if exits else None,
            timed=exits,
            cpu_share=spent / (passed * 1e9 * len(self._host.online_cpus())) * 100,
            process_share=self._process_share(),
            maps=usage(self._loaded, len(self._host.possible_cpus())),
        )

    def needs(self) -> tuple[Need, ...]:
        """Return what :meth:`measure` needs capabilities for."""
        # The statistics are on for a moment only, because they slow down every program.
        return (Need("enables the kernel's BPF statistics", (Capability.SYS_ADMIN,)),)

    def _ran(self) -> _Ran:
        infos = {name: syscall.program_info(fd) for name, fd in self._loaded.programs.items()}
        return _Ran(sum(info.run_time for info in infos.values()), infos[EXIT].runs)

    def _process_share(self) -> float:
        (before, spent_before), now = self._last, (time.monotonic(), time.process_time())
        self._last = now
        return (now[1] - spent_before) / (now[0] - before) * 100


def _enable() -> int:
    """Enable the kernel's statistics until the returned descriptor is closed."""
    try:
        return syscall.enable_statistics()
    except PermissionError as error:
        raise PrivilegeError(
            "enabling the kernel's BPF statistics is not permitted",
            "run as root, or with CAP_SYS_ADMIN",
        ) from error


def usage(loaded: Loaded, cpus: int) -> dict[str, MapUsage]:
    """Return how full each hash and the tables of threads are, on a host with so many CPUs."""
    found = {
        n: MapUsage(len(m.items()), m.max_entries) for n, m in loaded.maps.items() if m.is_hash
    }
    if threads := loaded.maps.get("threads"):
        found["threads"] = _fullest(threads.read_cpus(ONLY, cpus), threads.value_size)
    return found


def _fullest(values: bytes, size: int) -> MapUsage:
    """Return the usage of the fullest of the CPUs' tables."""
    tables = (array("Q", values[i : i + size]) for i in range(0, len(values), size))
    used = max(sum(map(bool, table[_THREAD::_WORDS])) for table in tables)
    return MapUsage(used, size // ctypes.sizeof(ThreadCount))
