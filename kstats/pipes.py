"""Pipes that may be full for as long as their reader likes.

A write to a full pipe blocks, while a command may have deferred ^C and SIGTERM so that no report is
torn. Here they end the wait for the reader, and only that. Every command that prints to a pipe pays
for this module, so it imports little.
"""

from __future__ import annotations

import io
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Pipe(io.RawIOBase):
    """The writing end of a pipe or socket as a raw stream; it does not close its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._interrupted = False

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write a part of ``data``; return its size: see :func:`write`.

        After an interrupt drop what comes: Python flushes its buffer at exit, which would block.
        """
        rest = memoryview(data).cast("B")
        if self._interrupted:
            return len(rest)
        try:
            return write(self._descriptor, rest)
        except KeyboardInterrupt:
            self._interrupted = True
            raise


def write(descriptor: int, data: memoryview) -> int:
    """Write what a pipe has room for; return its size in bytes.

    Raises:
        KeyboardInterrupt: ^C or SIGTERM came while the pipe was full, even if they are deferred.
        OSError: The pipe cannot be written.
    """
    until_writable(descriptor)
    # A pipe that poll(2) calls writable has room for this many bytes.
    return os.write(descriptor, data[: select.PIPE_BUF])


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``: see :func:`write`."""
    rest = memoryview(data)
    while rest:
        rest = rest[write(descriptor, rest) :]


def until_writable(descriptor: int) -> None:
    """Wait until a pipe has room.

    Raises:
        KeyboardInterrupt: ^C or SIGTERM came meanwhile, even if they are deferred.
    """
    if not has_room(descriptor):
        _wait(_poll(descriptor))


def has_room(descriptor: int) -> bool:
    """Return whether a write of at most PIPE_BUF bytes would not block."""
    return bool(_poll(descriptor).poll(0))


def _poll(descriptor: int) -> select.poll:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll


def _wait(poll: select.poll) -> None:
    import signal  # noqa: PLC0415 - readers that keep up do not need it

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    deferred = signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM}
    heard = {number for number in deferred if signal.getsignal(number) is not signal.SIG_IGN}
    # A signal that comes right before poll() would not end it, but this pipe does.
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    poll.register(woken, select.POLLIN)
    handlers = {number: signal.signal(number, interrupt) for number in heard}
    before = signal.set_wakeup_fd(waker)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
        poll.poll()
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(waker)
