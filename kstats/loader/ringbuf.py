"""Reading a BPF ring buffer through its mapped pages (Documentation/bpf/ringbuf.rst).

One page has the reader's position, one the writers', and then comes the data, mapped twice in a
row so that no record is torn at the end.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Iterator

from kstats.loader.syscall import Map

_PAGE = mmap.PAGESIZE
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEADER = 8
_POSITION = struct.Struct("=Q")
_LENGTH = struct.Struct("=I")


class RingBuffer:
    """The records of a ring buffer; there must be one reader only."""

    def __init__(self, ring: Map) -> None:
        """Maps it; the mapping lasts until :meth:`close`."""
        self._size = ring.max_entries
        self._reader = mmap.mmap(ring.fd, _PAGE)
        self._writers = mmap.mmap(
            ring.fd, _PAGE + 2 * self._size, prot=mmap.PROT_READ, offset=_PAGE
        )
        self._fence = threading.Lock()

    def records(self) -> Iterator[bytes]:
        """The records that are complete, oldest first; each is free to be overwritten after."""
        (position,) = _POSITION.unpack_from(self._reader)
        (end,) = _POSITION.unpack_from(self._writers)
        while position < end:
            with self._fence:  # headers must not be read before the end was
                at = _PAGE + position % self._size
            (length,) = _LENGTH.unpack_from(self._writers, at)
            if length & _BUSY:
                return
            size = length & ~_DISCARDED
            if size == length:
                yield self._writers[at + _HEADER : at + _HEADER + size]
            position += (size + _HEADER + 7) & ~7
            _POSITION.pack_into(self._reader, 0, position)

    def close(self) -> None:
        """Unmaps it; doing it twice is fine."""
        self._reader.close()
        self._writers.close()
