"""What counting itself takes: the kernel's statistics of our programs, and our own time."""

from __future__ import annotations

import os
import struct
import time
from array import array
from typing import NamedTuple

from kstats.errors import PrivilegeError
from kstats.host import Host
from kstats.loader import syscall
from kstats.loader.program import Loaded
from kstats.model import MapUsage, Overhead

MOMENT = 0.05
"""Seconds that the kernel times programs before each report. That makes every BPF program on the
host a little dearer (it looks at a clock twice), so it is not for long."""

EXIT = "on_exit"
"""The function that every view has run at kvm_exit."""

_TABLES = {"threads": (3, 1)}
"""Open-addressed tables, one for each CPU: words of an entry, and which is not 0 in a used one."""


class _Ran(NamedTuple):
    nanoseconds: int
    exits: int


class Meter:
    """Finds out what a loaded program costs. ``overhead`` is what it found last."""

    overhead: Overhead

    def __init__(self, loaded: Loaded, host: Host) -> None:
        """``loaded`` runs on ``host``, which is this one.

        Raises:
            PrivilegeError: the kernel's statistics may not be switched on.
        """
        self._loaded = loaded
        self._host = host
        self._last = (time.monotonic(), time.process_time())
        os.close(_switch())  # rather now than after the first interval

    def measure(self) -> None:
        """Times our programs for a moment, which passes meanwhile."""
        before, begun = self._ran(), time.monotonic()
        switch = _switch()
        try:
            time.sleep(MOMENT)
        finally:
            os.close(switch)
        passed, now = time.monotonic() - begun, self._ran()
        spent, exits = now.nanoseconds - before.nanoseconds, now.exits - before.exits
        self.overhead = Overhead(
            ns_per_exit=spent / exits if exits else None,
            timed=exits,
            cpu_share=spent / (passed * 1e9 * len(self._host.online_cpus())) * 100,
            process_share=self._process_share(),
            maps=fill(self._loaded, len(self._host.possible_cpus())),
        )

    def _ran(self) -> _Ran:
        infos = {name: syscall.program_info(fd) for name, fd in self._loaded.programs.items()}
        return _Ran(sum(info.run_time for info in infos.values()), infos[EXIT].runs)

    def _process_share(self) -> float:
        (before, spent_before), now = self._last, (time.monotonic(), time.process_time())
        self._last = now
        return (now[1] - spent_before) / (now[0] - before) * 100


def _switch() -> int:
    """Switches the kernel's statistics on, until what it returns is closed."""
    try:
        return syscall.enable_statistics()
    except PermissionError as error:
        raise PrivilegeError(
            "the kernel's BPF statistics may not be switched on",
            "run as root: it takes CAP_SYS_ADMIN",
        ) from error


def fill(loaded: Loaded, cpus: int) -> dict[str, MapUsage]:
    """How full each map is that can be, on a host of so many possible CPUs."""
    found = {}
    for name, one in loaded.maps.items():
        if name in _TABLES:
            values = one.read_cpus(struct.pack("=I", 0), cpus)
            found[name] = _fullest(values, one.value_size, *_TABLES[name])
        elif one.is_hash:
            found[name] = MapUsage(len(one.items()), one.max_entries)
    return found


def _fullest(values: bytes, size: int, words: int, used: int) -> MapUsage:
    tables = (array("Q", values[i : i + size]) for i in range(0, len(values), size))
    taken = max(sum(map(bool, table[used::words])) for table in tables)
    return MapUsage(taken, size // (words * 8))
