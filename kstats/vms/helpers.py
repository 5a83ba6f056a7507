"""CPU time that VMs take beside their vCPUs: I/O and emulator threads, and vhost."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping

from kstats.host import Host
from kstats.vms.identity import Thread
from kstats.vms.proc import Proc

_VHOST = r"vhost-(\d{1,9})"
"""The name of vhost's thread, with the pid that it works for."""


class VhostThreads:
    """The kernel threads of vhost, and the processes that they work for.

    Since "vhost: use vhost_tasks for worker threads" (Linux 6.4) the kernel has no such threads:
    vhost's threads belong to the process. Earlier ones are found by their names.
    """

    def __init__(self, proc: Proc) -> None:
        self._proc = proc
        self._listed: Mapping[str, int] = {}
        self._found: dict[int, int] = {}

    def find(self) -> Mapping[int, int]:
        """Return the process of each thread; reads the names of processes that are new."""
        now = self._proc.processes()
        gone = {int(pid) for pid, _ in self._listed.items() - now.items()}
        self._found = {tid: pid for tid, pid in self._found.items() if tid not in gone}
        for tid, _ in now.items() - self._listed.items():
            found = re.fullmatch(_VHOST, self._proc.comm(int(tid), int(tid)), re.ASCII)
            # Any process may take the name, but only a kernel thread has no command line.
            if found and not self._proc.cmdline(int(tid)):
                self._found[int(tid)] = int(found[1])
        self._listed = now
        return self._found


class HelperTimes:
    """The CPU time of each VM's process outside its vCPUs, with vhost's kernel threads."""

    def __init__(self, host: Host) -> None:
        self._proc = Proc(host.root)
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._vhost = VhostThreads(self._proc)
        self._last: dict[tuple[int, int], int] = {}
        self._moment = 0.0

    def shares(self, vcpus: Iterable[Thread]) -> dict[int, float]:
        """Return per cent of one CPU by pid since the last call.

        A process that was not looked at in the last call is left out.
        """
        running: dict[int, set[int]] = {}
        for thread in vcpus:
            running.setdefault(thread.pid, set()).add(thread.tid)
        vhost = self._vhost.find()
        elapsed, self._moment = time.monotonic() - self._moment, time.monotonic()
        before, self._last = self._last, dict(self._read(running, vhost))
        known = {pid for pid, _ in before}
        grown = dict.fromkeys((pid for pid in running if pid in known), 0)
        for (pid, tid), ticks in self._last.items():
            if pid in grown:
                grown[pid] += ticks - before.get((pid, tid), ticks)
        return {pid: 100 * n / self._hertz / elapsed for pid, n in grown.items()}

    def _read(
        self, running: Mapping[int, set[int]], vhost: Mapping[int, int]
    ) -> Iterator[tuple[tuple[int, int], int]]:
        """Yield the clock ticks of each thread, by the process that it works for and its number."""
        for pid, vcpus in running.items():
            for tid in map(int, self._proc.threads(pid)):
                if tid not in vcpus and (ticks := self._proc.ticks(pid, tid)) is not None:
                    yield (pid, tid), ticks
        for tid, pid in vhost.items():
            if pid in running and (ticks := self._proc.ticks(tid, tid)) is not None:
                yield (pid, tid), ticks
