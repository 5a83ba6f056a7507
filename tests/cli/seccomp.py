"""Run a command under a seccomp filter that makes bpf(2) fail.

    python3 seccomp.py ERRNO COMMAND…

Constants are those of linux/seccomp.h, linux/filter.h and linux/prctl.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from kstats.loader.syscall import BPF_SYSCALL

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # a word of struct seccomp_data: nr is at 0
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_bpf(error: int) -> None:
    """Let bpf(2) fail with this errno, in this process and all that it starts."""
    instructions = (
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, BPF_SYSCALL),
        (_RETURN, 0, 0, _FAIL | error),
        (_RETURN, 0, 0, _ALLOW),
    )
    text = b"".join(struct.pack("=HBBI", *one) for one in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    program = ctypes.byref(_Program(len(instructions), text))
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    forbid_bpf(getattr(errno, sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - a test's own command
