"""A command that runs in a host."""

from __future__ import annotations

import signal as signals
import time
from typing import TYPE_CHECKING, Self

import attrs

from lab.hosts.errors import CommandError, CommandTimeoutError, HostError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from lab.hosts.channel import Conversation
    from lab.hosts.guest.agent import Message

    Sink = Callable[[str, bytes], object]

# Real seconds a killed command gets to be gone; a host that cannot even kill is lost.
KILL_SECONDS = 60


@attrs.frozen
class Result:
    """How a command ended.

    Attributes:
        command: As it was given, for people.
        status: Exit status; 127 or 126 where it could not be run; minus the signal's number where
            one ended it.
        stdout: Decoded as UTF-8; bytes that are none survive as surrogates.
        stderr: Likewise.
        seconds: Of real time.
    """

    command: str
    status: int
    stdout: str
    stderr: str
    seconds: float

    def check(self) -> Self:
        """Return the result itself; raise `CommandError` unless the status is 0."""
        if self.status:
            raise CommandError(self.command, self.status, self.stdout, self.stderr)
        return self


class Command:
    """A command that was started; as a context manager, killed at the end if it still runs.

    Every method that waits raises `HostLostError` when the host is lost meanwhile.

    Attributes:
        pid: Of the process in the host, which leads a process group of its own.
        status: As in `Result`; None while it is not known to have ended.
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
        """What it has written so far, as far as a waiting method has seen it."""
        return self._output["stdout"].decode(errors="surrogateescape")

    @property
    def stderr(self) -> str:
        """As `stdout`."""
        return self._output["stderr"].decode(errors="surrogateescape")

    def signal(self, number: int = signals.SIGINT) -> None:
        """Send a signal to the command's process group, as the keys of a terminal do."""
        if self.status is None:
            self._conversation.send("signal", signal=int(number))

    def enter(self, data: bytes) -> None:
        """Type at the terminal of a command that was started at a terminal."""
        self._conversation.send("input", data=data)

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end.

        Args:
            timeout: Seconds from now; without it, those given at the start, from the start.

        Raises:
            CommandTimeoutError: It did not end in time, and was killed.
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
            CommandError: The command ended without having said it.
        """
        self.wait_until(lambda: text in self.stdout or text in self.stderr, timeout)

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until something holds of what it has written; raises as `wait_output` does."""
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
        """Kill the command, if it still runs, and see it end."""
        self.signal(signals.SIGKILL)
        until = time.monotonic() + KILL_SECONDS
        while self.status is None:
            try:
                self._take(self._conversation.next(until))
            except TimeoutError:
                reason = f"could not kill {self._text}"
                raise self._conversation.abandon(reason) from None

    def started(self) -> Self:
        """Wait for the command's start, which does not mean that its program was found."""
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
        if not isinstance(value, HostError):
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
