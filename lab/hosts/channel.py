"""Our end of the agent's channel: sends requests, and sorts the events by conversation.

A thread reads all the time, whether anybody waits or not: a serial line that is not emptied loses
bytes, and a dead emulator is to be noticed at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import select
import threading
import time
from typing import TYPE_CHECKING, Any

from lab.hosts.errors import HostLost
from lab.hosts.guest.agent import CHUNK, Lines, encode, seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.hosts.guest.agent import Message

READY = 0  # conversation of the events that answer no request
STOPPED = "the machine stopped"
PATIENCE = 1.0  # seconds to look again after
REPEAT_SECONDS = 15.0  # until a request that was not confirmed is sent again


class Conversation:
    """The events that answer one request."""

    def __init__(self, channel: Channel, number: int) -> None:
        self._channel = channel
        self.number = number
        self.events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def send(self, op: str, **fields: Any) -> None:
        """Send a request of this conversation; raise `HostLost` when nobody is there."""
        self._channel.send({"op": op, "id": self.number, **fields})

    def next(self, until: float) -> Message:
        """Return the next event.

        Args:
            until: Value of `time.monotonic()` until which to wait.

        Raises:
            TimeoutError: No event came until then.
            HostLost: No event will come any more.
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
        """Drop whatever events may still come."""
        self._channel.forget(self)

    def abandon(self, reason: str) -> HostLost:
        """Give the host up, and return what to raise; see `Channel.abandon`."""
        return self._channel.abandon(reason)


class Channel:
    """A connection to an agent.

    Args:
        fd: Stream socket or terminal; owned and closed by the channel.
        process: A pidfd that becomes readable when the emulator ends; owned, too.
        until: Value of `time.monotonic()` at which the channel is given up, whatever goes on.
        on_end: Called once, in the reading thread, with the reason why the channel is lost; has to
            end the emulator, and returns what every later use is to raise.
    """

    def __init__(
        self, fd: int, process: int, until: float, on_end: Callable[[str], HostLost]
    ) -> None:
        self._fd = fd
        # A sender must never be stuck in the kernel: a terminal whose other end is dead stays full.
        os.set_blocking(fd, False)
        self._process = process
        self._until = until
        self._on_end = on_end
        self._given_up = ""
        self._wake = os.eventfd(0)
        # Two, for the reading thread must not wait for a sender whom the agent keeps waiting.
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._numbers = itertools.count(READY + 1)
        self._sequence = itertools.count()
        self._unheard: dict[int, tuple[float, bytes]] = {}  # when it was sent last, and the line
        self._open: dict[int, Conversation] = {READY: Conversation(self, READY)}
        self._ending = False
        self._lost: HostLost | None = None
        self._thread = threading.Thread(target=self._read, name="host channel", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> Conversation:
        """The conversation of the events that answer no request."""
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
        """Close a conversation; what still comes for it is dropped."""
        with self._lock:
            self._open.pop(conversation.number, None)

    def send(self, request: Message) -> None:
        """Send a request; raise `HostLost` when the host is lost."""
        number = next(self._sequence)
        sealed = seal(encode({**request, "seq": number}))
        line = memoryview(sealed)
        with self._sending:
            if self._lost:
                raise self.loss()
            self._unheard[number] = (time.monotonic(), sealed)
            # When writing fails the emulator is dead, which the reading thread tells better.
            with contextlib.suppress(OSError):
                while line and not self._ending:
                    if select.select([], [self._fd], [], PATIENCE)[1]:
                        line = line[os.write(self._fd, line) :]

    def loss(self) -> HostLost:
        """Return why the host is lost, as an exception of its own for each who raises it."""
        lost = self._lost
        assert lost is not None
        return HostLost(lost.name, lost.reason, lost.log)

    def abandon(self, reason: str) -> HostLost:
        """End the emulator and with it all conversations; return what they raise from now on.

        A host that was lost before keeps its own reason.
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
            ready = {fd for fd, _ in poll.poll(min(left, PATIENCE) * 1000)}
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
        """Read what is there; return why nothing more is to be expected, if so."""
        piece = b""
        with contextlib.suppress(OSError):
            piece = os.read(self._fd, CHUNK)
        if not piece:
            gone = select.select([self._process], [], [], PATIENCE)[0]
            return STOPPED if gone else "its agent closed the channel"
        try:
            self._sort(lines.feed(piece))
        except ValueError as error:
            return f"garbage on the channel ({error})"
        return None

    def _repeat(self) -> None:
        """Send again what was not confirmed for long, unless somebody is sending right now."""
        if not self._sending.acquire(blocking=False):
            return
        try:
            now = time.monotonic()
            for number, (sent, line) in list(self._unheard.items()):
                if now - sent > REPEAT_SECONDS:
                    self._unheard[number] = (now, line)
                    # The line feed ends what may have arrived of it, or of the last repetition.
                    with contextlib.suppress(OSError):
                        os.write(self._fd, b"\n" + line)
        finally:
            self._sending.release()

    def _sort(self, events: list[Message]) -> None:
        for event in events:
            if event["event"] == "heard":
                self._unheard.pop(event["seq"], None)
                continue
            with self._lock:
                conversation = self._open.get(event.get("id") or READY)
            if conversation:
                conversation.events.put(event)
