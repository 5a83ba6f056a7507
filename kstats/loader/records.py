"""C structs of bpf/ in Python, so that each is written down once beside its C file's name.

A test compiles the C with assertions that sizes and offsets agree.
"""

from __future__ import annotations

import ctypes
import struct
from typing import ClassVar, TypeAlias

U32: TypeAlias = ctypes.c_uint32
U64: TypeAlias = ctypes.c_uint64

WORD = 8
"""Bytes of a u64, to which the values of per-CPU maps are padded."""

ONLY = struct.pack("=I", 0)
"""The key of the only entry of an array."""

COUNT = struct.Struct("=Q")
"""A map value that is one u64."""

Fields: TypeAlias = tuple[tuple[str, type], ...]


class Record(ctypes.Structure):
    """A C struct, field by field and with the C names.

    A subclass of a record appends the fields that the C has only in some programs.

    Attributes:
        c_name: The struct's tag in C.
    """

    c_name: ClassVar[str]

    @classmethod
    def unpacker(cls) -> struct.Struct:
        """Return what unpacks the fields to a flat tuple, in the order of the C.

        That takes a fifth of the time of ``from_buffer_copy()`` and reading the fields by name.
        """
        lineage = [base for base in reversed(cls.__mro__) if "_fields_" in vars(base)]
        kinds = [kind for base in lineage for _, kind, *_ in vars(base)["_fields_"]]
        return struct.Struct("=" + "".join(map(_code, kinds)))


def _code(kind: type[ctypes.Array[ctypes.c_uint64] | ctypes._SimpleCData[int]]) -> str:
    size = ctypes.sizeof(kind)
    return "I" if size == ctypes.sizeof(U32) else f"{size // WORD}Q"
