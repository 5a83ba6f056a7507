"""Least privilege: what a command gives up once its programs are attached.

Loading and attaching need CAP_BPF and CAP_PERFMON. Reading the maps afterwards needs open
descriptors only, except on kernels before "bpf: refine kernel.unprivileged_bpf_disabled behaviour"
(5.19). What is still needed is found by trying without it, never by the kernel's version.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from kstats.errors import PrivilegeError

# include/uapi/linux/capability.h and prctl.h
_VERSION_3 = 0x20080522
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


class Capability(IntEnum):
    """Capabilities that a command may have to keep; see capabilities(7)."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    SYS_PTRACE = 19
    SYS_ADMIN = 21
    BPF = 39

    def __str__(self) -> str:
        return f"CAP_{self.name}"


def never() -> bool:
    """Return False: for what cannot be tried."""
    return False


class Need(NamedTuple):
    """Something that a command goes on doing after it has attached its programs.

    Attributes:
        what: What it does, as a phrase with a verb: ``reads BPF maps``.
        capabilities: Each of these suffices. The first that the process has is kept.
        works: Returns whether it works without a capability.
    """

    what: str
    capabilities: tuple[Capability, ...]
    works: Callable[[], bool] = never


def creates_beside(path: str) -> Need:
    """Return the need of a command that creates files in the directory of ``path``.

    Root without capabilities may not write to the directories of other users.
    """
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - start-up time

    def works() -> bool:
        return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)

    return Need("creates files in another user's directory", (Capability.DAC_OVERRIDE,), works)


def keeps_owner(path: str) -> Need:
    """Return the need of a command that replaces a file, which may belong to another user."""

    def works() -> bool:
        try:
            there = os.stat(path)  # noqa: PTH116 - start-up time
        except OSError:
            return True
        return (there.st_uid, there.st_gid) == (os.geteuid(), os.getegid())

    return Need("keeps the owner of the file that it replaces", (Capability.CHOWN,), works)


def writes(path: str) -> tuple[Need, ...]:
    """Return the needs of a command that writes and replaces a file."""
    return creates_beside(path), keeps_owner(path)


def drop(needs: Iterable[Need] = ()) -> tuple[str, ...]:
    """Give up all capabilities that ``needs`` do not require, and the way to get them back.

    It applies to the calling thread and to those that it starts later, so call it before any.
    A program that is executed later gets no more, not even as root (no_new_privs).

    Returns:
        What was kept and why, a line each.

    Raises:
        PrivilegeError: The system refuses, for example by seccomp.
    """
    permitted = _Sets.of_this_thread().permitted
    _Sets(0, permitted).apply()
    kept = {}
    for need in needs:
        has = [capability for capability in need.capabilities if permitted & 1 << capability]
        if has and not need.works():
            kept[has[0]] = need.what
    mask = sum(1 << capability for capability in kept)
    _Sets(mask, mask).apply()
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _refused()
    lines = [f"kept {capability}: kstats {what}" for capability, what in kept.items()]
    return (*(lines or ["kept no capability"]), *_others(mask))


class _Sets(NamedTuple):
    """The capability sets of a thread, as bit masks. The inheritable set is always emptied."""

    effective: int
    permitted: int

    @classmethod
    def of_this_thread(cls) -> _Sets:
        data = (ctypes.c_uint32 * 6)()
        if _libc.capget(_header(), data):
            raise _refused()
        return cls(data[0] | data[3] << 32, data[1] | data[4] << 32)

    def apply(self) -> None:
        halves = [(self.effective >> shift, self.permitted >> shift, 0) for shift in (0, 32)]
        words = [word & 0xFFFF_FFFF for half in halves for word in half]
        if _libc.capset(_header(), (ctypes.c_uint32 * 6)(*words)):
            raise _refused()


def _header() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * 2)(_VERSION_3, 0)


def _refused() -> PrivilegeError:
    reason = os.strerror(ctypes.get_errno())
    return PrivilegeError(
        f"cannot give up capabilities: {reason}", "allow capset(2) and prctl(2): see seccomp(2)"
    )


def _others(kept: int) -> Iterator[str]:
    """Yield a line about threads that were started before and have more."""
    more = [tid for tid in os.listdir("/proc/self/task") if _permitted(tid) & ~kept]  # noqa: PTH208
    if more:
        yield f"threads that started before keep their capabilities: {len(more)}"


def _permitted(tid: str) -> int:
    try:
        with open(f"/proc/self/task/{tid}/status", encoding="utf-8") as file:  # noqa: PTH123
            status = file.read()
    except FileNotFoundError:  # it has ended
        return 0
    return next(int(line[7:], 16) for line in status.splitlines() if line.startswith("CapPrm:"))
