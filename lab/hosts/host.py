"""A booted host: commands and files."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lab.hosts.channel import Channel
from lab.hosts.command import Command, Result
from lab.hosts.errors import HostLostError, RequestError
from lab.hosts.guest.agent import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from lab.hosts.channel import Conversation
    from lab.hosts.command import Sink

TRANSFER_SECONDS = 300


class Host:
    """A host that answers; as a context manager, powered off at the end.

    Every method raises `HostLostError` once the host crashed, froze, or outlived its deadline. One host
    serves one thread; but any number of commands may run in it at once.

    Attributes:
        name: Of the recipe.
        kernel: Release of the running kernel, as `uname -r` prints it.
        uptime: Seconds of the host's own time from the kernel's start to the agent's.
        boot_seconds: Of real time, from the emulator's start to the agent's answer.
        command_deadline: Seconds a command may take unless its caller says otherwise.
    """

    def __init__(
        self, name: str, channel: Channel, *, boot_deadline: float, command_deadline: float
    ) -> None:
        self.name = name
        self.command_deadline = command_deadline
        self._channel = channel
        begun = time.monotonic()
        try:
            ready = channel.ready.next(begun + boot_deadline)
        except TimeoutError:
            raise channel.abandon(f"no answer within {boot_deadline:g} s of its start") from None
        self.boot_seconds = time.monotonic() - begun
        self.kernel: str = ready["kernel"]
        self.uptime: float = ready["uptime"]

    def start(  # noqa: PLR0913 - all but the command are rarely given
        self,
        command: Sequence[str] | str,
        *,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: bytes | None = None,
        terminal: tuple[int, int] | None = None,
        sink: Sink | None = None,
    ) -> Command:
        """Start a command and return at once; it runs in a session of its own.

        Args:
            command: Its words, or a line for /bin/sh.
            timeout: Seconds until waiting for it raises `CommandTimeoutError`, counted from now.
            env: Added to the host's environment.
            cwd: Working directory; the root directory unless given.
            stdin: What it reads; nothing unless given.
            terminal: Rows and columns of a terminal to run it at; its output is all stdout then.
            sink: Called with `stdout` or `stderr` and each piece of output, while waiting.
        """
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        conversation = self._channel.converse()
        conversation.send(
            "start", argv=words, env=dict(env or {}), cwd=cwd, data=stdin, size=terminal
        )
        text = command if isinstance(command, str) else shlex.join(words)
        return Command(conversation, text, timeout or self.command_deadline, sink).started()

    def run(  # noqa: PLR0913 - as start
        self,
        command: Sequence[str] | str,
        *,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: bytes | None = None,
        sink: Sink | None = None,
    ) -> Result:
        """Run a command to its end; the arguments are those of `start`.

        Raises:
            CommandTimeoutError: It did not end in time and was killed; the host is as good as before.
        """
        with self.start(
            command, timeout=timeout, env=env, cwd=cwd, stdin=stdin, sink=sink
        ) as running:
            return running.wait()

    def put(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file in the host, and make the directories it needs; /tmp and /run are writable.

        Raises:
            RequestError: The host cannot write it.
        """
        for start in range(0, len(data) or 1, CHUNK):
            conversation = self._channel.converse()
            piece = data[start : start + CHUNK]
            conversation.send("put", path=path, data=piece, append=bool(start), mode=mode)
            b"".join(self._transfer(conversation, f"put {path}"))

    def get(self, path: str) -> bytes:
        """Return the contents of a file in the host.

        Raises:
            RequestError: The host cannot read it.
        """
        conversation = self._channel.converse()
        conversation.send("get", path=path)
        return b"".join(self._transfer(conversation, f"get {path}"))

    def _transfer(self, conversation: Conversation, text: str) -> Iterator[bytes]:
        until = time.monotonic() + TRANSFER_SECONDS
        while True:
            try:
                event = conversation.next(until)
            except TimeoutError:
                raise conversation.abandon(f"{text}: no end") from None
            if event["event"] == "error":
                raise RequestError(text, event["text"])
            if event["event"] == "done":
                conversation.close()
                return
            yield event["data"]

    def power_off(self) -> None:
        """Let the host end itself, in order, and wait for it; then it is lost to all callers."""
        self._channel.ready.send("poweroff")
        until = time.monotonic() + self.command_deadline
        try:
            self._channel.ready.next(until)
        except (HostLostError, TimeoutError):
            self.close()

    def close(self) -> None:
        """End the host at once: it has nothing to save."""
        self._channel.abandon("it was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log; nothing when there is no log."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.replace("\r", "").splitlines()[-lines:])
