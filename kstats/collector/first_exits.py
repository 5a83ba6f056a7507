"""Threads at their first exit, looked up while their process exists: bpf/first_exits.c."""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import struct
import threading
from typing import TYPE_CHECKING

from kstats.arch.base import BtfField
from kstats.loader.plan import MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import COUNT, U32, U64, Record
from kstats.loader.ringbuf import HEADER, RingBuffer
from kstats.vms.identity import Arrival
from kstats.vms.proc import text

if TYPE_CHECKING:
    from kstats.vms.registry import VmRegistry

REPORTED_THREADS = 16384
"""Threads that can exist at once; the first exit of any more is dropped."""

_CGROUPS = 1024
"""Paths of cgroups that are kept at most: the latest. They are needed for a moment only."""

_CGROUP_PARTS, _CGROUP_PART_SIZE = 4, 128
_NAME_SIZE = 16
_NO_VCPU = 2**32 - 1
_NAME = ctypes.c_char * _NAME_SIZE
_KEY = struct.Struct("=I")
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class FirstExit(Record):
    """A record of the ring buffer."""

    c_name = "first_exit"
    _fields_ = (
        ("thread", U64),
        ("started", U64),
        ("vcpu", U32),
        ("cgroup", U32),
        ("name", _NAME),
        ("process", _NAME),
    )


class CgroupPath(Record):
    """A value of the map of cgroups."""

    c_name = "cgroup_path"
    _fields_ = (("parts", ctypes.c_char * (_CGROUP_PARTS * _CGROUP_PART_SIZE)),)


# When kstats starts, all vCPUs of the host have their first exit at about the same time.
_RING = REPORTED_THREADS * (ctypes.sizeof(FirstExit) + HEADER)

MAPS = (
    MapSize("first_exits", max(_RING, mmap.PAGESIZE)),
    MapSize("reported_threads", REPORTED_THREADS),
    MapSize("cgroup_paths", _CGROUPS),
    MapSize("cgroup_scratch"),
    MapSize("first_exits_dropped"),
)

BTF = (
    BtfField("NOTE_LEADER_OFFSET", ("task_struct.group_leader",), optional=True),
    BtfField("NOTE_STARTED_OFFSET", ("task_struct.start_boottime",), optional=True),
    BtfField("NOTE_NAME_OFFSET", ("task_struct.comm",), optional=True),
    BtfField("NOTE_NOTIFIERS_OFFSET", ("task_struct.preempt_notifiers",), optional=True),
    BtfField("NOTE_NOTIFIER_OFFSET", ("kvm_vcpu.preempt_notifier.link",), optional=True),
    BtfField("NOTE_VCPU_ID_OFFSET", ("kvm_vcpu.vcpu_id",), optional=True),
    BtfField("NOTE_CGROUPS_OFFSET", ("task_struct.cgroups",), optional=True),
    BtfField("NOTE_CGROUP_OFFSET", ("css_set.dfl_cgrp",), optional=True),
    BtfField("NOTE_DIRECTORY_OFFSET", ("cgroup.kn",), optional=True),
    BtfField("NOTE_DIRECTORY_ID_OFFSET", ("kernfs_node.id",), optional=True),
    BtfField("NOTE_DIRECTORY_NAME_OFFSET", ("kernfs_node.name",), optional=True),
    BtfField(
        "NOTE_DIRECTORY_PARENT_OFFSET",
        # Linux 6.15 renamed it: "kernfs: Use RCU to access kernfs_node::parent".
        ("kernfs_node.__parent", "kernfs_node.parent"),
        optional=True,
    ),
)
"""What the C reads of the process and the vCPU, as far as the kernel's BTF has it."""


class FirstExits:
    """Takes first exits out of the ring buffer and lets a registry look up their threads.

    :meth:`take` does it on demand. Once :meth:`follow` is called, a thread does it as soon as the
    kernel reports one, and sleeps otherwise.
    """

    MAP = "first_exits"
    """The ring buffer, which only programs that count by thread have."""

    def __init__(self, loaded: Loaded, vms: VmRegistry, cpus: int) -> None:
        """Map the ring buffer; ``cpus`` is the number of possible CPUs."""
        self._vms = vms
        self._cpus = cpus
        self._ring = RingBuffer(loaded.maps[self.MAP])
        self._fd = loaded.maps[self.MAP].fd
        self._reported = loaded.maps["reported_threads"]
        self._cgroups = loaded.maps["cgroup_paths"]
        self._dropped = loaded.maps["first_exits_dropped"]
        self._last_dropped = 0
        self._lock = threading.Lock()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._follower: threading.Thread | None = None

    def take(self) -> None:
        """Look up the threads that were reported since the last call."""
        with self._lock:
            self._vms.meet(list(map(self._arrival, self._ring.records())))

    def settle(self) -> int:
        """Forget threads that have ended; return how many first exits were dropped.

        Call it after the registry was refreshed. The kernel then reports threads that get the same
        numbers.
        """
        for thread in self._vms.departed():
            self._reported.delete(COUNT.pack(thread))
        before, self._last_dropped = self._last_dropped, self._dropped.sum_cpus(self._cpus)
        return self._last_dropped - before

    def follow(self) -> None:
        """Look up threads as soon as they are reported, until :meth:`close`.

        The thread that does it has the privileges of the calling thread, and gets no signals.
        """
        self._follower = threading.Thread(target=self._run, name="first exits", daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._follower.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while all(fd != self._stop for fd, _ in poll.poll()):
            self.take()

    def _arrival(self, record: bytes) -> Arrival:
        first = FirstExit.from_buffer_copy(record)
        return Arrival(
            pid=first.thread >> 32,
            tid=first.thread & 0xFFFF_FFFF,
            start=first.started // _TICK or None,
            vcpu=None if first.vcpu == _NO_VCPU else first.vcpu,
            name=text(first.name),
            process=text(first.process),
            cgroup=self._cgroup(first.cgroup),
        )

    def _cgroup(self, key: int) -> str:
        value = self._cgroups.read(_KEY.pack(key)) if key else None
        if value is None:
            return ""
        ends = range(len(value), 0, -_CGROUP_PART_SIZE)
        parts = [value[end - _CGROUP_PART_SIZE : end].partition(b"\0")[0] for end in ends]
        return "".join(f"/{text(part)}" for part in parts if part)

    def close(self) -> None:
        """End following; calling it again has no effect."""
        if self._stop < 0:
            return
        os.eventfd_write(self._stop, 1)
        if self._follower:
            self._follower.join()
        self._ring.close()
        os.close(self._stop)
        self._stop = -1
