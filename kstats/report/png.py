"""Write grey pictures as PNG (RFC 2083), for which no library is needed."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY_8 = struct.pack(">5B", 8, 0, 0, 0, 0)
"""Eight bits of grey; deflate, the filters of PNG, no interlacing."""

_UNFILTERED = b"\0"


def grey(rows: Sequence[bytes | bytearray]) -> str:
    """Return a data URL of a picture; each row has one byte for each pixel, 0 is black."""
    size = struct.pack(">2I", len(rows[0]), len(rows))
    data = zlib.compress(b"".join(_UNFILTERED + row for row in rows), 9)
    chunks = ((b"IHDR", size + _GREY_8), (b"IDAT", data), (b"IEND", b""))
    file = _SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    length, check = len(data), zlib.crc32(kind + data)
    return struct.pack(">I", length) + kind + data + struct.pack(">I", check)
