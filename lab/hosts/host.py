"""A booted host: run commands in it, and copy files."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from lab.hosts.channel import Channel, Conversation
from lab.hosts.command import Command, Result, Sink
from lab.hosts.errors import RequestError
from lab.hosts.guest.agent import CHUNK

TRANSFER_SECONDS = 300


class Host:
    """A running host; as a context manager, it is ended when the block is left.

    Every method raises `HostLostError` once the host has crashed, hung, or passed its deadline.
    Any number of commands may run at the same time, but only one thread may use a host.

    Attributes:
        name: Of the recipe.
        kernel: Release of the running kernel, as `uname -r` prints it.
        uptime: Seconds of the host's own time from the start of the kernel to that of the agent.
        boot_seconds: Real time from the start of the emulator to the agent's answer.
        command_deadline: Seconds that a command may take by default.
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
            raise channel.abandon(f"no answer within {boot_deadline:g} s after the start") from None
        self.boot_seconds = time.monotonic() - begun
        self.kernel: str = ready["kernel"]
        self.uptime: float = ready["uptime"]

    def start(  # noqa: PLR0913 - all but the command are optional and by keyword
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
        """Start a command in a session of its own and return at once.

        Args:
            command: Its words, or a line for /bin/sh.
            timeout: Seconds from now until waiting for it raises `CommandTimeoutError`.
            env: Added to the host's environment.
            cwd: Working directory; by default the root directory.
            stdin: Its input; empty by default.
            terminal: Rows and columns of a terminal to run it at. All of its output is stdout then.
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
            CommandTimeoutError: It did not end in time and was killed; the host still works.
        """
        with self.start(
            command, timeout=timeout, env=env, cwd=cwd, stdin=stdin, sink=sink
        ) as running:
            return running.wait()

    def put(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file in the host and create its directories; /tmp and /run are writable.

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
                raise conversation.abandon(f"{text} did not finish") from None
            if event["event"] == "error":
                raise RequestError(text, event["text"])
            if event["event"] == "done":
                conversation.close()
                return
            yield event["data"]

    def close(self) -> None:
        """Kill the host."""
        self._channel.abandon("it was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.replace("\r", "").splitlines()[-lines:])
