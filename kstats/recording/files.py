"""Files of lines. The name decides on compression: one Zstandard frame per line.

A frame for itself costs some bytes, but whatever happens to the file later, what was written
before can be read, and a recording can be read while it is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import IO

from kstats.errors import MissingLibraryError
from kstats.recording.errors import LineError

SUFFIX = ".zst"
LONGEST_LINE = 64 << 20
"""The limit of a line in bytes; a sample with a million counters is smaller."""

BEGIN = b'{"type":"header","format":"kstats recording"'
"""The first bytes of every recording."""

MAGIC = b"\x28\xb5\x2f\xfd"
"""The first bytes of every Zstandard frame."""

_LEVEL = 3
_CHUNK = 1 << 20

_SLICE = 1 << 10
"""Bytes to decompress at once; 4 of them may expand to 128 KiB."""

_WINDOW = 1 << 27
_LONGEST_FRAME_HEADER = 18
_REPEATED_BYTE = 1


def zstandard() -> ModuleType:
    """The library; raises MissingLibraryError."""
    try:
        import zstandard as module  # noqa: PLC0415 - most uses of kstats do without
    except ImportError as error:
        raise MissingLibraryError(
            "zstandard", f"compression (*{SUFFIX})", "zstandard", "kvm-kstats[zstd]"
        ) from error
    return module


class Lines:
    """The lines of a file, compressed or not, in bounded memory.

    After all lines are read, ``torn`` is true if the file ended in the middle of the last one.
    After the first, ``compressed`` is true if the file is compressed.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # read1 returns what a pipe has so far; waiting for more would delay live output.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.torn = False
        self.compressed = False
        self.number = 0
        """Of the line that was given last, from 1 on."""

    def __iter__(self) -> Iterator[str]:
        """Raise LineError where a line is too long, damaged, or no text."""
        pending = bytearray()
        for piece in self._pieces():
            searched = len(pending)
            pending += piece
            while (end := pending.find(b"\n", searched)) >= 0:
                yield self._text(pending[: end + 1])
                del pending[: end + 1]
                searched = 0
            if len(pending) > LONGEST_LINE:
                self.number += 1
                raise LineError(f"longer than {LONGEST_LINE >> 20} MiB")
        if pending:
            self.torn = True
            yield self._text(pending)
        elif self.torn:
            self.number += 1

    def _text(self, line: bytearray) -> str:
        self.number += 1
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise LineError("not UTF-8 text") from error

    def _pieces(self) -> Iterator[bytes]:
        head = self._file.read(len(MAGIC))
        self.compressed = head == MAGIC
        if self.compressed:
            yield from self._decompressed(head)
            return
        yield head
        while chunk := self._read(_CHUNK):
            yield chunk

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        zstd = zstandard()
        frames = zstd.ZstdDecompressor(max_window_size=_WINDOW)
        frame = None
        try:
            while data := data or self._read(_SLICE):
                frame = frame or frames.decompressobj()
                yield frame.decompress(data)
                data = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
        except zstd.ZstdError as error:
            self.number += 1
            raise LineError(f"damaged: {error}") from error
        self.torn = frame is not None


def packed(line: str, *, compressed: bool) -> bytes:
    """Return a line as it is written to a file."""
    data = line.encode()
    if not compressed:
        return data
    compressor: bytes = zstandard().ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data)
    return compressor


def check_beginning(file: IO[bytes], *, compressed: bool) -> None:
    """Raise LineError unless ``file``, as far as it goes, begins like a recording of kstats."""
    begin = MAGIC if compressed else BEGIN
    file.seek(0)
    head = file.read(len(begin))
    if head != begin[: len(head)]:
        raise LineError(f"not a {'compressed ' if compressed else ''}recording")


def complete_size(file: IO[bytes], *, compressed: bool) -> int:
    """Return the number of bytes at the beginning of ``file`` that are whole lines.

    Raises:
        LineError: kstats did not write what follows.
    """
    return _whole_frames(file) if compressed else _whole_lines(file)


def _whole_lines(file: IO[bytes]) -> int:
    size = file.seek(0, os.SEEK_END)
    while size:
        begin = max(size - _CHUNK, 0)
        file.seek(begin)
        end = file.read(size - begin).rfind(b"\n") + 1
        if end:
            return begin + end
        size = begin
    return 0


def _whole_frames(file: IO[bytes]) -> int:
    """Follow the sizes in the headers of frames (RFC 8878, 3.1.1) without decompressing."""
    size = file.seek(0, os.SEEK_END)
    end = 0
    while end < size:
        after = _frame_end(file, end)
        if after is None or after > size:
            break
        end = after
    return end


def _frame_end(file: IO[bytes], begin: int) -> int | None:
    """Return the end of the frame at ``begin``; None if the file ends too early to know it."""
    zstd = zstandard()
    file.seek(begin)
    head = file.read(_LONGEST_FRAME_HEADER)
    if not head.startswith(MAGIC[: len(head)]):
        raise LineError(f"no zstd frame at byte {begin}")
    try:
        at: int = begin + zstd.frame_header_size(head)
        checksum = 4 if zstd.get_frame_parameters(head).has_checksum else 0
    except zstd.ZstdError:
        return None
    last = False
    while not last:
        file.seek(at)
        block = file.read(3)
        if len(block) < 3:
            return None
        word = int.from_bytes(block, "little")
        last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
        at += 3 + (1 if kind == _REPEATED_BYTE else size)
    return at + checksum
