"""What /proc tells of processes and threads.

Processes end while they are being read, and other users' may be closed to us: whatever cannot
be read is None or empty, never an error. Formats: proc(5).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

_SHORT, _LONG = 1 << 12, 1 << 18
"""Bytes read at most: of a line or a few, and of a command line (its name is near the front)."""

_HOST_PIDS = "pid:[4026531836]"
"""The initial pid namespace, always: PROC_PID_INIT_INO (include/linux/proc_ns.h)."""

Stamp: TypeAlias = tuple[int, int, int]
"""Inode, links and time of change of a folder.

In procfs and debugfs, a folder made anew has another inode, and every folder in it is a link;
nothing changes its time, which other file systems (of recordings) have instead.
"""


class Proc:
    """The /proc below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/proc".replace("//", "/")

    def comm(self, pid: int, tid: int) -> str:
        """The name of a thread: at most 15 bytes, any but NUL, chosen by the thread."""
        raw = read(f"{self._root}/{pid}/task/{tid}/comm", _SHORT) or b""
        return text(raw.removesuffix(b"\n"))

    def cmdline(self, pid: int) -> list[str]:
        """The words of the command line; none for a kernel thread or a zombie."""
        raw = read(f"{self._root}/{pid}/cmdline", _LONG) or b""
        return [text(word) for word in raw.removesuffix(b"\0").split(b"\0")] if raw else []

    def cgroups(self, pid: int) -> list[str]:
        """Where the process is in each hierarchy of control groups; version 2 has one."""
        lines = (read(f"{self._root}/{pid}/cgroup", _LONG) or b"").splitlines()
        return [text(line.split(b":", 2)[2]) for line in lines if line.count(b":") >= 2]

    def program(self, pid: int) -> str:
        """The file name of the program that runs, without its folder."""
        link = _link(f"{self._root}/{pid}/exe").removesuffix(" (deleted)")
        return link.rpartition("/")[2]

    def start(self, pid: int) -> int | None:
        """When the process started, in clock ticks after boot: field 22 of its stat."""
        # Of the thread, not of the process: that would add up all its threads first.
        fields = self._stat(pid, pid)
        return int(fields[19]) if len(fields) > 19 and fields[19].isdigit() else None

    def state(self, pid: int, tid: int) -> str:
        """What a thread does, in a letter: field 3 of its stat; empty once it has ended."""
        return text(b"".join(self._stat(pid, tid)[:1]))

    def owner(self, tid: int) -> int | None:
        """The process that a thread belongs to."""
        # /proc has every thread by its number, though it lists processes only.
        return next(iter(self._numbers(tid, b"Tgid:")), None)

    def own_pid(self, pid: int) -> int | None:
        """What the process takes for its pid: its number in its own pid namespace."""
        return next(reversed(self._numbers(pid, b"NSpid:")), None)

    def threads(self, pid: int) -> dict[str, int]:
        """The process's threads: the inode of each by its number; empty once it has ended.

        Another thread of the same number has another inode. A thread may get a new inode
        while it lives, if the kernel was short of memory: a difference is a reason to look.
        """
        return _inodes(f"{self._root}/{pid}/task")

    def stamp(self, pid: int) -> Stamp | None:
        """Differs if the process is another, or has more or fewer threads; None if it ended."""
        return stamp(f"{self._root}/{pid}/task")

    def has_thread(self, pid: int, tid: int) -> bool:
        """Whether the process has this thread now."""
        return os.access(f"{self._root}/{pid}/task/{tid}", os.F_OK)

    def processes(self) -> dict[str, int]:
        """All processes, as :meth:`threads` has the threads of one."""
        return _inodes(self._root)

    def holds_vm(self, pid: int) -> bool:
        """Whether the process has a VM open; False where its descriptors are closed to us."""
        folder = f"{self._root}/{pid}/fd"
        return any(_link(f"{folder}/{name}") == "anon_inode:kvm-vm" for name in names(folder))

    def has_host_pids(self) -> bool | None:
        """Whether pids here are those of the host; None if that cannot be known.

        The kernel counts VM exits by the host's pids. In a container's /proc others have them.
        """
        # Process 1 lives in the namespace that this /proc shows, but looking takes privileges.
        link = _link(f"{self._root}/1/ns/pid")
        if link:
            return link == _HOST_PIDS
        return True if _link(f"{self._root}/self/ns/pid") == _HOST_PIDS else None

    def _stat(self, pid: int, tid: int) -> list[bytes]:
        """The fields of a thread's stat from the third on."""
        raw = read(f"{self._root}/{pid}/task/{tid}/stat", _SHORT) or b""
        # Field 2 is the name in parentheses and may hold any byte; nothing after it can be ")".
        return raw.rpartition(b")")[2].split()

    def _numbers(self, pid: int, field: bytes) -> list[int]:
        for line in (read(f"{self._root}/{pid}/status", _SHORT) or b"").splitlines():
            if line.startswith(field):
                return [int(word) for word in line.split()[1:] if word.isdigit()]
        return []


def read(path: str, limit: int) -> bytes | None:
    """The first ``limit`` bytes of a file of procfs or debugfs; None where it cannot be read."""
    # Not pathlib: these few calls are most of what a sample costs.
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, limit)
    except OSError:
        return None
    finally:
        os.close(file)


def stamp(path: str) -> Stamp | None:
    """The stamp of a folder; None if it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib takes as long as the call itself
    except OSError:
        return None
    return status.st_ino, status.st_nlink, status.st_mtime_ns


def names(folder: str) -> list[str]:
    """What is in a folder; nothing if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def text(raw: bytes) -> str:
    """Bytes of another process as text; see :mod:`kstats.escape`."""
    return raw.decode("utf-8", "surrogateescape")


def _link(path: str) -> str:
    try:
        return text(os.readlink(path.encode()))  # noqa: PTH115 - the bytes, in any locale
    except OSError:
        return ""


def _inodes(folder: str) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.inode() for entry in entries if entry.name.isdecimal()}
    except OSError:
        return {}
