"""A real program in a real pseudoterminal; pyte, an emulator of terminals, shows what is on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import pyte

ROOT = Path(__file__).parents[2]
DEADLINE = 300.0
"""Seconds until a program that hangs is killed; long enough for a busy machine."""


class Terminal:
    """A command in a terminal of its own, with an environment that is the same everywhere."""

    def __init__(
        self,
        *words: str,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self._master, slave = pty.openpty()
        self._set_size(columns, rows)
        self.modes = termios.tcgetattr(slave)
        self._slave = slave
        base = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**base, **(environment or {})},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """What is on the screen, as one text."""
        return "\n".join(self.lines)

    def press(self, keys: str) -> None:
        """Send keys."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as a window manager does."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def wait(self, holds: Callable[[str], bool] | str) -> str:
        """Wait until the screen has a text, or something else holds of it; return the screen."""
        wanted = (lambda text: holds in text) if isinstance(holds, str) else holds
        end = time.monotonic() + DEADLINE
        while not wanted(self.text):
            assert self._receive(end), f"{holds!r} is not on the screen:\n{self.text}"
        return self.text

    def finish(self) -> int:
        """Read until the program ends; return its exit status."""
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            self._receive(end, 0.05)
            assert time.monotonic() < end, f"it goes on:\n{self.text}"
        while self._receive(end, 0):
            pass
        return self.process.returncode

    def modes_now(self) -> list[object]:
        """Return the modes of the terminal, to be compared with :attr:`modes`."""
        return termios.tcgetattr(self._slave)

    def _receive(self, end: float, most: float | None = None) -> bool:
        """Feed what the program wrote to the emulator; return whether there was anything."""
        seconds = max(end - time.monotonic(), 0) if most is None else most
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        data = os.read(self._master, 1 << 16)
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def _set_size(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
