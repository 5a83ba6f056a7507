"""Relocates addresses of map values, so that a program needs no lookup of an array's only value.

The C uses ``bpf_pseudo_fd(2, NUMBER)``, which bcc compiles to the address of a value
(BPF_PSEUDO_MAP_VALUE, Linux 5.2) in the map with the descriptor NUMBER. :func:`relocate` replaces
the number with the real descriptor; bcc does so for addresses of maps only. Standard library only:
the worker uses it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from kstats.loader import syscall

NUMBERS = {"counts": 0x4B535401}
"""The number in the C for each map with an addressed value; no descriptor is that large."""

_LOAD_ADDRESS = 0x18  # BPF_LD | BPF_IMM | BPF_DW, include/uapi/linux/bpf.h
_MAP_VALUE = 2


def defines() -> dict[str, int]:
    """Return the definitions that bpf/counts.c needs to address its value."""
    return {f"KSTATS_{name.upper()}": number for name, number in NUMBERS.items()}


def relocate(instructions: bytes, descriptors: Mapping[int, int]) -> bytes:
    """Return a program with its numbers replaced by the maps' descriptors."""
    size = syscall.INSTRUCTION_SIZE
    pieces = (instructions[i : i + size] for i in range(0, len(instructions), size))
    return b"".join(_relocated(piece, descriptors) for piece in pieces)


def _relocated(piece: bytes, descriptors: Mapping[int, int]) -> bytes:
    code, registers, _, number = struct.unpack("=BBhi", piece)
    if code != _LOAD_ADDRESS or registers >> 4 != _MAP_VALUE:
        return piece
    return syscall.instruction(code, registers, immediate=descriptors[number])
