"""The usual metrics of a process (``process_*``), of this one."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from kstats.exporter import families as f
from kstats.exporter.exposition import Family, Series

_START_TIME = 22 - 3  # field of proc(5) stat, counted from the one after the command


def _start() -> float:
    """Return when this process started, in seconds since the epoch."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - uptime + int(fields[_START_TIME]) / os.sysconf("SC_CLK_TCK")


class Process:
    """Metrics of this process, made anew by each call."""

    def __init__(self) -> None:
        self._start = round(_start(), 2)
        self._page = os.sysconf("SC_PAGE_SIZE")

    def families(self) -> Iterator[tuple[Family, list[Series]]]:
        """Yield each metric."""
        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        for family, value in (
            (f.PROCESS_CPU, time.process_time_ns()),
            (f.PROCESS_START, self._start),
            (f.PROCESS_RESIDENT, int(pages[1]) * self._page),
            (f.PROCESS_VIRTUAL, int(pages[0]) * self._page),
            (f.PROCESS_FDS, sum(1 for _ in Path("/proc/self/fd").iterdir())),
            (f.PROCESS_MAX_FDS, limit),
        ):
            yield family, [family.valued(value)]
