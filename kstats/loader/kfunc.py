"""Calls of bpf_rdonly_cast(), with which programs load kernel memory directly.

Since "bpf: Add kfunc bpf_rdonly_cast" (6.2) a program may turn any number into a pointer to a
kernel struct and load from it, with one machine instruction instead of a helper call. The C calls
a helper whose number is the function's BTF ID, far above that of any helper; :func:`relocate`
makes it a call of the function in what bcc compiled. Standard library only: the worker uses it.
"""

from __future__ import annotations

import os

from kstats.loader import syscall
from kstats.loader.btf import Btf, NoBtfError
from kstats.loader.patch import CALL, TYPE

_TWO_WORDS = "timespec64"
"""A struct in the kernel's own BTF with 64 bits at 0 and at 8."""

_CALL, _MOVE, _LOAD, _EXIT = 0x85, 0xB7, 0x79, 0x95  # include/uapi/linux/bpf.h
_KERNEL_FUNCTION = 2 << 4  # BPF_PSEUDO_KFUNC_CALL, as the source register


class NoCastError(Exception):
    """The kernel has no direct loads; the text says why."""


def numbers(btf: Btf) -> dict[str, int]:
    """Return the numbers that READ() in bpf/kstats.h needs for direct loads.

    Raises:
        NoCastError: The kernel has no such function, or its verifier refuses the call.
    """
    try:
        function, two_words = btf.function("bpf_rdonly_cast"), btf.struct(_TWO_WORDS)
    except NoBtfError as error:
        raise NoCastError(str(error)) from error
    _try_out(function, two_words)
    return {CALL: function, TYPE: two_words}


def relocate(instructions: bytes, function: int) -> bytes:
    """Return a program with its calls of a helper ``function`` relocated to the kernel function."""
    size = syscall.INSTRUCTION_SIZE
    helper = syscall.instruction(_CALL, immediate=function)
    pieces = (instructions[i : i + size] for i in range(0, len(instructions), size))
    return b"".join(_call(function) if piece == helper else piece for piece in pieces)


def _call(function: int) -> bytes:
    return syscall.instruction(_CALL, _KERNEL_FUNCTION, immediate=function)


def _try_out(function: int, two_words: int) -> None:
    """Let the verifier check ``cast(0)->second_word``."""
    program = b"".join(
        (
            syscall.instruction(_MOVE, 1),
            syscall.instruction(_MOVE, 2, immediate=two_words),
            _call(function),
            syscall.instruction(_LOAD, 0, 8),
            syscall.instruction(_MOVE),
            syscall.instruction(_EXIT),
        )
    )
    try:
        os.close(syscall.load_program(program))
    except OSError as error:
        lines = [
            line for line in syscall.verifier_log(program).splitlines() if "processed" not in line
        ]
        why = lines[-1] if lines else error.strerror
        raise NoCastError(f"the kernel refuses calls of bpf_rdonly_cast: {why}") from error
