"""The file that a recording is written to: locked, and never left with half a line."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import NoReturn

from kstats import outfile, pipes
from kstats.errors import RecordingError
from kstats.recording import files
from kstats.recording.errors import LineError, shown
from kstats.recording.header import Header
from kstats.recording.reader import read

STDOUT = "-"

_ANOTHER = "name another file"
_CLOSED = -1

_LONGEST_HEADER = 1 << 16
"""The size up to which a file without a whole line may be a truncated header."""


class Output:
    """An open file, ready for lines at its end.

    Pipes and devices are written to as they are; files are locked, and continued if they are a
    recording of the same host.

    Attributes:
        path: The file.
        name: Its name for people.
        compressed: Whether its lines are.
        is_file: Whether it is neither a pipe nor a device.
        size: Its size in bytes.
        removed: The bytes of incomplete lines that were removed from its end.

    Raises:
        RecordingError: see :class:`kstats.recording.writer.Writer`.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.name = shown(path)
        self.compressed = path.name.endswith(files.SUFFIX)
        self.size = 0
        self.removed = 0
        if self.compressed:
            files.zstandard()  # fail before a file is created
        self._descriptor, self.is_file = self._open()
        try:
            # Another writer may have renamed the file before it was locked.
            while not self.is_in_place():
                self.close()
                self._descriptor, self.is_file = self._open()
            if self.is_file:
                self.size = self._continued(header)
        except BaseException:
            self.close()
            raise

    def rotate(self, older: Path) -> None:
        """Give the file a new name, and go on with an empty one under the old name.

        The new file is locked before others can find it, so no other writer comes between.

        Raises:
            OSError: A file cannot be created or renamed. This one stays as it is, where it is.
        """
        new = outfile.with_temporary(
            self.path.parent, lambda descriptor, path: self._replaced(older, descriptor, path)
        )
        self.close()
        self._descriptor = new
        self.size = 0

    def _replaced(self, older: Path, descriptor: int, temporary: Path) -> int:
        """Put a temporary file in the place of this one; return a descriptor of it."""
        new = os.dup(descriptor)
        try:
            _lock(new)
            there = os.fstat(self._descriptor)
            outfile.copy_mode(new, there)
            if os.geteuid() == 0:
                outfile.copy_owner(new, there)
            self.path.rename(older)
            temporary.rename(self.path)
        except BaseException:
            os.close(new)
            raise
        return new

    def append(self, lines: str) -> int:
        """Write whole lines and return their size in bytes.

        Raises:
            RecordingError: They cannot be written, for example on a full disk. None of them is.
            BrokenPipeError: The reader of the pipe closed it.
        """
        data = files.packed(lines, compressed=self.compressed)
        write = os.write if self.is_file else pipes.write
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[write(self._descriptor, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            if self.is_file:
                os.ftruncate(self._descriptor, self.size)
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
            self._fail(error)
        self.size += len(data)
        return len(data)

    def is_in_place(self) -> bool:
        """Return whether the path still leads to this file; it may have been moved or removed."""
        if not self.is_file:
            return True
        try:
            named = self.path.stat()
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))

    def was_emptied(self) -> bool:
        """Return whether it was truncated, as by logrotate's ``copytruncate``, and start over.

        Raises:
            RecordingError: Another process wrote to it.
        """
        size = os.fstat(self._descriptor).st_size if self.is_file else self.size
        if size == self.size:
            return False
        if size:
            raise RecordingError(self.name, "another process changed the file", _ANOTHER)
        self.size = os.lseek(self._descriptor, 0, os.SEEK_SET)
        return True

    def close(self) -> None:
        """Close the file after its lines are on the disk; may be called twice.

        Raises:
            RecordingError: They cannot be written to the disk.
        """
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor == _CLOSED:
            return
        try:
            if self.is_file:
                os.fsync(descriptor)
        except OSError as error:
            self._fail(error)
        finally:
            os.close(descriptor)

    def _open(self) -> tuple[int, bool]:
        """Return a descriptor, and whether it is a file, which is then locked."""
        flags = os.O_RDWR | os.O_CREAT
        try:
            is_stdout = str(self.path) == STDOUT
            descriptor = os.dup(1) if is_stdout else outfile.open_descriptor(self.path, flags)
        except OSError as error:
            self._fail(error)
        is_file = not is_stdout and stat.S_ISREG(os.fstat(descriptor).st_mode)
        try:
            if is_file:
                _lock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise RecordingError(
                self.name, "another process is recording to this file", _ANOTHER
            ) from error
        return descriptor, is_file

    def _continued(self, header: Header) -> int:
        """Return the end of the last whole line, after removing what follows it."""
        size = os.fstat(self._descriptor).st_size
        whole = self._whole() if size else 0
        if whole:
            self._check_host(header)
        elif size > _LONGEST_HEADER:
            self._refuse("it is no recording")
        os.ftruncate(self._descriptor, whole)
        self.removed = size - whole
        return os.lseek(self._descriptor, whole, os.SEEK_SET)

    def _whole(self) -> int:
        with open(self._descriptor, "rb", closefd=False) as file:
            try:
                files.check_beginning(file, compressed=self.compressed)
                return files.complete_size(file, compressed=self.compressed)
            except LineError as error:
                self._refuse(str(error))

    def _check_host(self, header: Header) -> None:
        with read(self.path) as recording:
            there = recording.header
        if there.subject != header.subject:
            self._refuse(f"it is a recording of {there.subject_text}")

    def _refuse(self, why: str) -> NoReturn:
        raise RecordingError(self.name, f"file exists: {why}", _ANOTHER)

    def _fail(self, error: OSError) -> NoReturn:
        raise RecordingError(self.name, error.strerror or str(error)) from error


def _lock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
