"""The address of a map's only value, put into programs: counting begins without a look-up.

The C says ``bpf_pseudo_fd(2, NUMBER)``, which bcc compiles to an address of a map's value
(BPF_PSEUDO_MAP_VALUE, Linux 5.2) whose map is NUMBER; :func:`complete` puts the map's descriptor
there. bcc itself does so only for addresses of maps. Standard library only: for the loading child.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from kstats.loader import syscall

NUMBERS = {"counts": 0x4B535401}
"""The number that stands for each map whose value is addressed; no descriptor is that large."""

_LOAD_ADDRESS = 0x18  # BPF_LD | BPF_IMM | BPF_DW, include/uapi/linux/bpf.h
_MAP_VALUE = 2


def defines() -> dict[str, int]:
    """What bpf/counts.c needs to address values."""
    return {f"KSTATS_{name.upper()}": number for name, number in NUMBERS.items()}


def complete(instructions: bytes, descriptors: Mapping[int, int]) -> bytes:
    """A compiled program with the descriptors that its numbers stand for."""
    size = syscall.INSTRUCTION_SIZE
    pieces = (instructions[i : i + size] for i in range(0, len(instructions), size))
    return b"".join(_completed(piece, descriptors) for piece in pieces)


def _completed(piece: bytes, descriptors: Mapping[int, int]) -> bytes:
    code, registers, _, number = struct.unpack("=BBhi", piece)
    if code != _LOAD_ADDRESS or registers >> 4 != _MAP_VALUE:
        return piece
    return syscall.instruction(code, registers, immediate=descriptors[number])
