"""Relocates maps in programs that bcc compiled.

The C (bpf/bcc.h) names a map by a number, which bcc leaves as it is in the compiled program;
:func:`relocate` replaces the number with the map's descriptor. Standard library only: the worker
uses it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from kstats.loader import syscall

_FIRST = 0x4B5F0000
"""The number of the first map; no descriptor is that large."""

_LOAD_ADDRESS = 0x18  # BPF_LD | BPF_IMM | BPF_DW, include/uapi/linux/bpf.h


def numbers(maps: Iterable[str]) -> dict[str, int]:
    """Return the number that stands for each map."""
    return {name: _FIRST + i for i, name in enumerate(maps)}


def relocate(instructions: bytes, descriptors: Mapping[int, int]) -> bytes:
    """Return a program with the numbers of maps replaced by their descriptors.

    Maps that the C uses in bcc's own way already have their descriptors.
    """
    size = syscall.INSTRUCTION_SIZE
    pieces = (instructions[i : i + size] for i in range(0, len(instructions), size))
    return b"".join(_relocated(piece, descriptors) for piece in pieces)


def _relocated(piece: bytes, descriptors: Mapping[int, int]) -> bytes:
    code, registers, _, number = struct.unpack("=BBhi", piece)
    # The source register is BPF_PSEUDO_MAP_FD or BPF_PSEUDO_MAP_VALUE, and 0 for a constant.
    if code != _LOAD_ADDRESS or not registers >> 4:
        return piece
    return syscall.instruction(code, registers, immediate=descriptors.get(number, number))
