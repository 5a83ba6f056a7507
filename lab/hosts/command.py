"""A command that runs in a host."""

from __future__ import annotations

import signal as signals
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs

from lab.hosts.channel import Conversation, Message
from lab.hosts.errors import CommandError, CommandTimeoutError, HostLostError, RequestError

Sink = Callable[[str, bytes], object]

# Seconds until a killed command must have ended; a host that cannot kill a process is lost.
KILL_SECONDS = 60


@attrs.frozen
class Result:
    """How a command ended.

    Attributes:
        command: The command line, for messages.
        status: Exit status; 127 or 126 if it could not be run; minus the signal's number if a
            signal ended it.
        stdout: Decoded as UTF-8; other bytes become surrogates.
        stderr: Likewise.
        seconds: Real time.
    """

    command: str
    status: int
    stdout: str
    stderr: str
    seconds: float

    def check(self) -> Self:
        """Return the result; raise `CommandError` if the status is not 0."""
        if self.status:
            raise CommandError(self.command, self.status, self.stdout, self.stderr)
        return self


class Command:
    """A started command; as a context manager, it is killed when the block is left.

    Every method that waits raises `HostLostError` if the host is lost meanwhile.

    Attributes:
        pid: Process ID in the host; also that of its process group.
        status: As in `Result`; None before its end was noticed.
    """

    def __init__(
        self, conversation: Conversation, text: str, timeout: float, sink: Sink | None = None
    ) -> None:
        self._conversation = conversation
        self._text = text
        self._begun = time.monotonic()
        self._timeout = timeout
        self._sink = sink
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self.status: int | None = None
        self.pid = 0

    @property
    def stdout(self) -> str:
        """Its output, as far as a method that waits has received it."""
        return self._output["stdout"].decode(errors="surrogateescape")

    @property
    def stderr(self) -> str:
        """As `stdout`."""
        return self._output["stderr"].decode(errors="surrogateescape")

    def signal(self, number: int = signals.SIGINT) -> None:
        """Send a signal to the command's process group, as a terminal does."""
        if self.status is None:
            self._conversation.send("signal", signal=int(number))

    def enter(self, data: bytes) -> None:
        """Send input to a command that was started at a terminal."""
        self._conversation.send("input", data=data)

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end.

        Args:
            timeout: Seconds from now; by default the timeout of the start, from the start.

        Raises:
            CommandTimeoutError: It did not end in time and was killed.
        """
        until = self._until(timeout)
        while self.status is None:
            self._step(until)
        seconds = time.monotonic() - self._begun
        return Result(self._text, self.status, self.stdout, self.stderr, seconds)

    def wait_output(self, text: str, timeout: float | None = None) -> None:
        """Wait until stdout or stderr contains `text`.

        Raises:
            CommandTimeoutError: It did not in time; the command was killed.
            CommandError: The command ended before that.
        """
        self.wait_until(lambda: text in self.stdout or text in self.stderr, timeout)

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until a condition on its output holds; raise as `wait_output` does."""
        until = self._until(timeout)
        while not condition():
            if self.status is not None:
                raise CommandError(self._text, self.status, self.stdout, self.stderr)
            self._step(until)

    def stop(self, number: int = signals.SIGINT, timeout: float | None = None) -> Result:
        """Send a signal and wait for the end, as `wait` does."""
        self.signal(number)
        return self.wait(timeout)

    def kill(self) -> None:
        """Kill the command if it still runs, and wait for its end."""
        self.signal(signals.SIGKILL)
        until = time.monotonic() + KILL_SECONDS
        while self.status is None:
            try:
                self._take(self._conversation.next(until))
            except TimeoutError:
                reason = f"could not kill {self._text}"
                raise self._conversation.abandon(reason) from None

    def started(self) -> Self:
        """Wait until its process exists; its program may still prove missing."""
        until = self._until(None)
        while not self.pid and self.status is None:
            self._step(until)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(value, HostLostError):
            self.kill()

    def _until(self, timeout: float | None) -> float:
        if timeout is None:
            return self._begun + self._timeout
        return time.monotonic() + timeout

    def _step(self, until: float) -> None:
        try:
            self._take(self._conversation.next(until))
        except TimeoutError:
            seconds = time.monotonic() - self._begun
            self.kill()
            raise CommandTimeoutError(self._text, seconds, self.stdout, self.stderr) from None

    def _take(self, event: Message) -> None:
        kind = event["event"]
        if kind in self._output:
            self._output[kind] += event["data"]
            if self._sink:
                self._sink(kind, event["data"])
        elif kind == "started":
            self.pid = event["pid"]
        elif kind == "done":
            self.status = event["status"]
            self._conversation.close()
        elif kind == "error":
            self.status = -1
            raise RequestError(self._text, event["text"])
