"""Hosts without a machine: the agent runs as a child process, connected by a socket pair."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from lab.hosts.channel import Channel
from lab.hosts.errors import HostLostError
from lab.hosts.guest import agent
from lab.hosts.host import Host

LOG = "last words"


class FakeHost:
    """A program that replaces the emulator and the agent.

    Args:
        words: The program; its last argument will be its channel, as `fd:N`.
        deadline: Of the host, in seconds.
    """

    def __init__(self, words: Sequence[str] = (), deadline: float = 600) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*(words or [sys.executable, "-I", agent.__file__]), f"fd:{theirs.fileno()}"],
                pass_fds=[theirs.fileno()],
                stderr=subprocess.DEVNULL,
                cwd=Path(agent.__file__).parent,
            )
        pidfd = os.pidfd_open(self.process.pid)
        until = time.monotonic() + deadline
        self.channel = Channel(ours.detach(), pidfd, until, self._end)

    def _end(self, reason: str) -> HostLostError:
        self.process.kill()
        self.process.wait()
        return HostLostError("fake", reason, LOG)

    def host(self, boot_deadline: float = 300) -> Host:
        """Wait for the agent and return the host, as `boot` does."""
        return Host("fake", self.channel, boot_deadline=boot_deadline, command_deadline=300)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the agent, to end it (SIGKILL) or freeze it (SIGSTOP)."""
        self.process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.abandon("the test is over")
