"""Connect a command in a host to this process's terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Sequence

from lab.hosts.command import Command
from lab.hosts.host import Host

END_OF_FILE = b"\x04"


@contextlib.contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Pass every key through, including ^C; do nothing if `fd` is not a terminal."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _type(command: Command, fd: int) -> None:
    while data := os.read(fd, 1024):
        command.enter(data)
    command.enter(END_OF_FILE)


def _show(_stream: str, data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def interact(host: Host, words: Sequence[str], *, timeout: float) -> int:
    """Run a command at this terminal and return its status, as in `Result`."""
    size = shutil.get_terminal_size()
    env = {"TERM": os.environ.get("TERM", "dumb"), "PS1": f"{host.name}:\\w# "}
    command = host.start(
        words,
        timeout=timeout,
        env=env,
        cwd="/root",
        terminal=(size.lines, size.columns),
        sink=_show,
    )
    fd = sys.stdin.fileno()
    # A daemon, because it still waits for a key when the command has ended.
    typist = threading.Thread(target=_type, args=(command, fd), daemon=True)
    with _raw(fd), command:
        typist.start()
        return command.wait().status
