"""Write protocol buffers: the wire format is simpler than a library for it.

A message is a concatenation of fields, each a number with a type, then the value
(https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_SEVEN = 0x7F
_WORD = (1 << 64) - 1


def integer(field: int, value: int) -> bytes:
    """Return a field of type uint64, int32, int64 or an enumeration."""
    return _varint(field << 3 | _VARINT) + _varint(value & _WORD)


def double(field: int, value: float) -> bytes:
    """Return a field of type double."""
    return _varint(field << 3 | _FIXED64) + struct.pack("<d", value)


def text(field: int, value: str) -> bytes:
    """Return a field of type string."""
    return message(field, value.encode("utf-8", "replace"))


def message(field: int, *parts: bytes) -> bytes:
    """Return a field that is a message of fields."""
    content = b"".join(parts)
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > _SEVEN:
        parts.append(value & _SEVEN | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
