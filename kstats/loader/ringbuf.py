"""Reads a BPF ring buffer through its mapped pages (Documentation/bpf/ringbuf.rst).

The first page has the reader's position, the second the writers'. The data follows, mapped twice
in a row, so that a record that wraps around is contiguous, too.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Iterator

from kstats.loader.syscall import Map

_PAGE = mmap.PAGESIZE
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_POSITION = struct.Struct("=Q")
_LENGTH = struct.Struct("=I")

HEADER = 8
"""Bytes before each record."""


class RingBuffer:
    """The records of a ring buffer. Only one process may read it."""

    def __init__(self, ring: Map) -> None:
        """Map it, until :meth:`close`."""
        self._size = ring.max_entries
        self._reader = mmap.mmap(ring.fd, _PAGE)
        self._writers = mmap.mmap(
            ring.fd, _PAGE + 2 * self._size, prot=mmap.PROT_READ, offset=_PAGE
        )
        # Python has no memory barriers. Taking an uncontended lock includes one.
        self._barrier = threading.Lock()

    def records(self) -> Iterator[bytes]:
        """Yield the complete records, oldest first. The next call frees the last one's space."""
        (position,) = _POSITION.unpack_from(self._reader)
        (end,) = _POSITION.unpack_from(self._writers)
        while position < end:
            with self._barrier:  # a header must not be read before the writers' position was
                at = _PAGE + position % self._size
            (length,) = _LENGTH.unpack_from(self._writers, at)
            if length & _BUSY:
                return
            size = length & ~_DISCARDED
            if size == length:
                yield self._writers[at + HEADER : at + HEADER + size]
            position += (size + HEADER + 7) & ~7
            _POSITION.pack_into(self._reader, 0, position)

    def close(self) -> None:
        """Unmap it; calling it again has no effect."""
        self._reader.close()
        self._writers.close()
