"""Files of lines. The name decides on compression: one Zstandard frame per line.

A frame for itself costs some bytes, but whatever happens to the file later, what was written
before can be read, and a recording can be read while it is written.
"""

from __future__ import annotations

import os
from collections import deque
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

_SEARCHED = 1 << 20
"""Bytes of a damaged frame in which the next one is searched; longer ones are not by kstats."""

_UNWRITTEN = 1 << 10
"""The number of frames at the end that may be damaged by a power failure; each is a sample."""

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

    After all lines are read, ``torn`` is true if the file ended in the middle of the last one, or
    in zeros, which a power failure leaves. After the first, ``compressed`` is true if the file is
    compressed.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # read1 returns what a pipe has so far; waiting for more would delay live output.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.torn = False
        self.compressed = False
        self.number = 0
        """Of the line that was given last, from 1 on."""

    def __iter__(self) -> Iterator[str | LineError]:
        """Yield each line; for one that is too long, damaged, or no text, yield the error."""
        pending = bytearray()
        is_rest = False
        """Whether what comes is the rest of a line that is too long."""
        for piece in self._pieces():
            if isinstance(piece, LineError):
                pending.clear()
                yield self._next(piece)
                continue
            searched = len(pending)
            pending += piece
            while (end := pending.find(b"\n", searched)) >= 0:
                if not is_rest:
                    yield self._next(_text(pending[: end + 1]))
                is_rest = False
                del pending[: end + 1]
                searched = 0
            if is_rest or len(pending) > LONGEST_LINE:
                pending.clear()
                if not is_rest:
                    yield self._next(_too_long())
                is_rest = True
        if pending:
            self.torn = True
            yield self._next(_text(pending))
        elif self.torn:
            self.number += 1

    def _next(self, line: str | LineError) -> str | LineError:
        self.number += 1
        return line

    def _pieces(self) -> Iterator[bytes | LineError]:
        head = self._file.read(len(MAGIC))
        self.compressed = head == MAGIC
        if self.compressed:
            yield from self._decompressed(_Slices(self._read, head))
            return
        yield head
        while chunk := self._read(_CHUNK):
            yield chunk

    def _decompressed(self, slices: _Slices) -> Iterator[bytes | LineError]:
        """Yield what frames contain. After a damaged one, go on with the next one."""
        zstd = zstandard()
        frames = zstd.ZstdDecompressor(max_window_size=_WINDOW)
        frame = None
        while data := slices.next():
            if frame is None:
                frame = frames.decompressobj()
                slices.mark(data)
            try:
                yield frame.decompress(data)
            except zstd.ZstdError as error:
                frame = None
                slices.back()
                if slices.is_zeros():
                    self.torn = True
                    return
                yield LineError(f"damaged: {error}")
                slices.skip_to(MAGIC)
                continue
            if frame.eof:
                slices.push(frame.unused_data)
                frame = None
        self.torn = frame is not None


class _Slices:
    """Short pieces of a file. It can go back to the beginning of a damaged frame.

    What is read twice is at most as long as what is read once, so that a hostile file of
    frames within frames does not take more time than others.
    """

    def __init__(self, read: Callable[[int], bytes], begin: bytes) -> None:
        self._read = read
        self._stack = [memoryview(begin)]
        """What comes before that which is still in the file, the next last."""
        self._since = bytearray()
        self._spare = _SEARCHED

    def next(self) -> bytes:
        """Return the next piece; empty at the end."""
        if not self._stack:
            piece = self._read(_SLICE)
            self._spare += len(piece)
        else:
            top = self._stack.pop()
            piece = bytes(top[:_SLICE])
            self.push(top[_SLICE:])
        if len(self._since) < _SEARCHED:
            self._since += piece
        return piece

    def push(self, data: bytes | memoryview) -> None:
        """Put back what was read last."""
        if data:
            self._stack.append(memoryview(data))

    def mark(self, data: bytes) -> None:
        """Remember that a frame begins with ``data``, the last piece."""
        self._since = bytearray(data)

    def back(self) -> None:
        """Go back to the second byte of the frame, if it is not longer than kstats makes them."""
        again = bytes(self._since[1:])
        if len(again) < min(_SEARCHED, self._spare):
            self._spare -= len(again)
            self.push(again)

    def is_zeros(self) -> bool:
        """Return whether only zeros follow, and skip those that do."""
        while piece := self.next():
            if rest := piece.lstrip(b"\0"):
                self.push(rest)
                return False
        return True

    def skip_to(self, mark: bytes) -> None:
        """Skip what comes before ``mark``, or all if it does not follow."""
        before = b""
        while piece := self.next():
            at = (before + piece).find(mark)
            if at >= 0:
                self.push((before + piece)[at:])
                return
            before = (before + piece)[1 - len(mark) :]


def _too_long() -> LineError:
    return LineError(f"longer than {LONGEST_LINE >> 20} MiB")


def _text(line: bytearray) -> str | LineError:
    if len(line) > LONGEST_LINE:
        return _too_long()
    try:
        return line.decode()
    except UnicodeDecodeError:
        return LineError("not UTF-8 text")


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
    """Follow the sizes in the headers of frames (RFC 8878, 3.1.1); decompress only the last ones.

    After a power failure, frames may be there of which the file system wrote only the size.
    """
    size = file.seek(0, os.SEEK_END)
    ends = deque([0], maxlen=_UNWRITTEN)
    while ends[-1] < size:
        after = _frame_end(file, ends[-1])
        if after is None or after > size:
            break
        ends.append(after)
    while len(ends) > 1 and not _is_frame(file, ends[-2], ends[-1]):
        ends.pop()
    return ends[-1]


def _is_frame(file: IO[bytes], begin: int, end: int) -> bool:
    """Return whether a frame is not damaged."""
    zstd = zstandard()
    file.seek(begin)
    frame = zstd.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    try:
        while begin < end:
            piece = file.read(min(_SLICE, end - begin))
            frame.decompress(piece)
            begin += len(piece)
    except zstd.ZstdError:
        return False
    return bool(frame.eof)


def _frame_end(file: IO[bytes], begin: int) -> int | None:
    """Return the end of the frame at ``begin``; None if the file ends too early to know it."""
    zstd = zstandard()
    file.seek(begin)
    head = file.read(_LONGEST_FRAME_HEADER)
    if not head.startswith(MAGIC[: len(head)]):
        if _is_zeros(file, begin):
            return None
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


def _is_zeros(file: IO[bytes], begin: int) -> bool:
    """Return whether only zeros follow."""
    file.seek(begin)
    return not any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(_CHUNK), b""))
