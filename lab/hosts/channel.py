"""The harness's end of the agent's channel: sends requests and sorts events by conversation.

A thread reads all the time, even if nobody waits: a serial line that is not read loses bytes, and
the end of the emulator must be noticed at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from lab.hosts.errors import HostLostError
from lab.hosts.guest.agent import CHUNK, Lines, encode, seal

Message = dict[str, Any]

READY = 0  # conversation of events that do not answer a request
STOPPED = "the machine stopped"
POLL_SECONDS = 1.0
REPEAT_SECONDS = 15.0  # after which an unconfirmed request is sent again


class Conversation:
    """The events that answer one request."""

    def __init__(self, channel: Channel, number: int) -> None:
        self._channel = channel
        self.number = number
        self.events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def send(self, op: str, **fields: Any) -> None:
        """Send a request of this conversation; raise `HostLostError` if the host is lost."""
        self._channel.send({"op": op, "id": self.number, **fields})

    def next(self, until: float) -> Message:
        """Return the next event.

        Args:
            until: Value of `time.monotonic()` until which to wait.

        Raises:
            TimeoutError: There was no event until then.
            HostLostError: The host is lost, and all earlier events were returned.
        """
        try:
            event = self.events.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if event is None:
            self.events.put(None)
            raise self._channel.loss()
        return event

    def close(self) -> None:
        """Drop all further events."""
        self._channel.forget(self)

    def abandon(self, reason: str) -> HostLostError:
        """Give the host up and return the error to raise; see `Channel.abandon`."""
        return self._channel.abandon(reason)


class Channel:
    """A connection to an agent.

    Args:
        fd: Stream socket or terminal; owned and closed by the channel.
        process: A pidfd that becomes readable when the emulator ends; owned and closed, too.
        until: Value of `time.monotonic()` at which the channel is given up in any case.
        on_end: Called once, in the reading thread, with the reason why the channel is lost. Must
            end the emulator and return the error that every later use raises.
    """

    def __init__(
        self, fd: int, process: int, until: float, on_end: Callable[[str], HostLostError]
    ) -> None:
        self._fd = fd
        # A sender must never block in the kernel: a terminal stays full if its reader has died.
        os.set_blocking(fd, False)
        self._process = process
        self._until = until
        self._on_end = on_end
        self._given_up = ""
        self._wake = os.eventfd(0)
        # Two locks: the reading thread must not wait for a sender that waits for the agent.
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._numbers = itertools.count(READY + 1)
        self._sequence = itertools.count()
        self._unconfirmed: dict[int, tuple[float, bytes]] = {}  # time of the last sending, line
        self._open: dict[int, Conversation] = {READY: Conversation(self, READY)}
        self._ending = False
        self._lost: HostLostError | None = None
        self._thread = threading.Thread(target=self._read, name="host channel", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> Conversation:
        """The conversation of events that do not answer a request."""
        return self._open[READY]

    def converse(self) -> Conversation:
        """Open a conversation."""
        with self._lock:
            conversation = Conversation(self, next(self._numbers))
            self._open[conversation.number] = conversation
            if self._lost:
                conversation.events.put(None)
        return conversation

    def forget(self, conversation: Conversation) -> None:
        """Close a conversation; drop its further events."""
        with self._lock:
            self._open.pop(conversation.number, None)

    def send(self, request: Message) -> None:
        """Send a request; raise `HostLostError` when the host is lost."""
        number = next(self._sequence)
        sealed = seal(encode({**request, "seq": number}))
        line = memoryview(sealed)
        with self._sending:
            if self._lost:
                raise self.loss()
            self._unconfirmed[number] = (time.monotonic(), sealed)
            # A failed write means that the emulator has ended; the reading thread reports why.
            with contextlib.suppress(OSError):
                while line and not self._ending:
                    if select.select([], [self._fd], [], POLL_SECONDS)[1]:
                        line = line[os.write(self._fd, line) :]

    def loss(self) -> HostLostError:
        """Return why the host is lost: a new exception for each caller, which may raise it."""
        lost = self._lost
        assert lost is not None
        return HostLostError(lost.name, lost.reason, lost.log)

    def abandon(self, reason: str) -> HostLostError:
        """End the emulator and all conversations; return the error that they raise from now on.

        If the host was lost before, the first reason is kept.
        """
        self._given_up = reason
        with self._lock:
            if not self._lost:
                os.eventfd_write(self._wake, 1)
        self._thread.join()
        return self.loss()

    def _read(self) -> None:
        reason = "harness error"
        try:
            reason = self._read_to_end()
        finally:
            self._ending = True
            lost = self._on_end(reason)
            with self._lock, self._sending:
                self._lost = lost
                for conversation in self._open.values():
                    conversation.events.put(None)
                for fd in (self._fd, self._process, self._wake):
                    os.close(fd)

    def _read_to_end(self) -> str:
        poll = select.poll()
        for fd in (self._fd, self._process, self._wake):
            poll.register(fd, select.POLLIN)
        lines = Lines()
        while (left := self._until - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(min(left, POLL_SECONDS) * 1000)}
            if self._wake in ready:
                return self._given_up
            self._repeat()
            if self._fd in ready:
                if end := self._take(lines):
                    return end
            elif ready:
                return STOPPED
        return "its deadline passed"

    def _take(self, lines: Lines) -> str | None:
        """Read what is available; return the reason if the channel has ended."""
        piece = b""
        with contextlib.suppress(OSError):
            piece = os.read(self._fd, CHUNK)
        if not piece:
            gone = select.select([self._process], [], [], POLL_SECONDS)[0]
            return STOPPED if gone else "its agent closed the channel"
        try:
            self._sort(lines.feed(piece))
        except ValueError as error:
            return f"garbage on the channel ({error})"
        return None

    def _repeat(self) -> None:
        """Send old unconfirmed requests again, unless another thread is sending right now."""
        if not self._sending.acquire(blocking=False):
            return
        try:
            now = time.monotonic()
            for number, (sent, line) in list(self._unconfirmed.items()):
                if now - sent > REPEAT_SECONDS:
                    self._unconfirmed[number] = (now, line)
                    # The line feed ends a line of which only a part has arrived before.
                    with contextlib.suppress(OSError):
                        os.write(self._fd, b"\n" + line)
        finally:
            self._sending.release()

    def _sort(self, events: list[Message]) -> None:
        for event in events:
            if event["event"] == "received":
                self._unconfirmed.pop(event["seq"], None)
                continue
            with self._lock:
                conversation = self._open.get(event.get("id") or READY)
            if conversation:
                conversation.events.put(event)
