"""Files that kstats writes, perhaps as root and in folders of other users."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kstats import pipes

PRIVATE = 0o600
"""The mode of new files: they contain the names of VMs."""

T = TypeVar("T")

_MOST_LINKS = 40  # as the kernel's limit


def open_descriptor(path: Path, flags: int) -> int:
    """Return a descriptor of a file; with O_CREAT in ``flags`` a new file is private.

    Raises:
        OSError: The file cannot be opened.
        PermissionError: Another user may have put it there: see :func:`replace`.
    """
    path, of_process = _destination(path)
    flags |= os.O_CLOEXEC | (0 if of_process else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, PRIVATE)
    try:
        _check_owner(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace the contents of a file as a whole or not at all.

    An existing file keeps its owner and mode, and a link stays a link. A new file has ``mode``,
    or is private. Pipes and devices are written to as they are. No signal but SIGKILL leaves the
    temporary file.

    Raises:
        OSError: The file cannot be written.
        PermissionError: Another user owns the link, or a file in a folder that all may write to.
            Root would write where that user wants, or what that user can read.
    """
    path, of_process = _destination(path)
    there = None if of_process else _status(path)
    if of_process or (there and not stat.S_ISREG(there.st_mode)):
        descriptor = open_descriptor(path, os.O_WRONLY | (os.O_TRUNC if of_process else 0))
        try:
            pipes.write_all(descriptor, data)
        finally:
            os.close(descriptor)
        return
    if there:
        _check_owner(path, there)

    def finish(descriptor: int, temporary: Path) -> None:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        if there:
            copy_mode(descriptor, there)
            copy_owner(descriptor, there)
        elif mode is not None:
            os.fchmod(descriptor, mode)
        temporary.replace(path)

    with_temporary(path.parent, finish)


def check_folder(folder: Path) -> None:
    """Raise OSError if no file can be created in a folder."""
    with_temporary(folder, lambda _, temporary: temporary.unlink())


def with_temporary(folder: Path, use: Callable[[int, Path], T]) -> T:
    """Return what ``use`` returns for a new private file, which it moves or removes.

    No signal but SIGKILL interrupts it.
    """
    path = folder / f".kstats-{os.urandom(8).hex()}"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        try:
            return use(descriptor, path)
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _destination(path: Path) -> tuple[Path, bool]:
    """Return where the links at ``path`` lead, and whether that is a descriptor of a process.

    The links in /proc/PID/fd are no paths where they name pipes, for example: only the kernel
    follows them.
    """
    for _ in range(_MOST_LINKS):
        there = _status(path)
        if there is None or not stat.S_ISLNK(there.st_mode):
            return path, False
        if os.path.realpath(path.parent).startswith("/proc/"):
            return path, True
        _check_owner(path, there)
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _check_owner(path: Path, there: os.stat_result) -> None:
    """Refuse what another user may have put there, as fs.protected_symlinks of the kernel does."""
    if there.st_uid in (0, os.geteuid()):
        return
    if stat.S_ISLNK(there.st_mode):
        raise PermissionError(errno.EPERM, "it is a link of another user")
    folder = path.parent.stat()
    if folder.st_mode & stat.S_ISVTX and there.st_uid != folder.st_uid:
        raise PermissionError(errno.EPERM, "it belongs to another user, in a folder for everyone")


def copy_mode(descriptor: int, there: os.stat_result) -> None:
    """Give a file the mode of another one. Do it first: see :func:`copy_owner`."""
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))


def copy_owner(descriptor: int, owner: os.stat_result) -> None:
    """Give a file to the owner and the group of another one; its mode may be fixed from then on."""
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (owner.st_uid, owner.st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
