"""Start emulators so that they never outlive this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path


def start(
    words: Sequence[str | Path], log: Path, *, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, with both outputs in `log`.

    The kernel kills it when the calling thread ends, for whatever reason.
    """
    with log.open("wb") as output:
        return subprocess.Popen(
            # A preexec_fn could set this, too, but is not safe in a process with threads.
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program started by `start` with all its children, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
