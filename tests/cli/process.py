"""Run kstats as people do: as a process with streams and signals of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE = 120.0
"""Seconds until a process that hangs is killed; long enough for a busy machine."""
SCRIPTED = ("-m", "tests.cli.scripted")


def start(*words: str, via: tuple[str, ...] = SCRIPTED, **popen: Any) -> subprocess.Popen[str]:
    """Start ``kstats`` with ``words``, with pipes for its output by default."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
    return subprocess.Popen([sys.executable, *via, *words], text=True, cwd=ROOT, **streams)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; return the exit status, and output and errors not yet read."""
    with deadline(process):
        out = process.stdout.read() if process.stdout else ""
        err = process.stderr.read() if process.stderr else ""
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    return process.returncode, out, err


def first_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """The first lines of its output; once there are some, it waits in an interval."""
    assert process.stdout
    with deadline(process):
        lines = [process.stdout.readline() for _ in range(count)]
    assert all(lines), f"it ended: {finish(process)}"
    return lines


@contextmanager
def deadline(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill the process if the block takes too long."""
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def shell(script: str, via: tuple[str, ...] = SCRIPTED, **environment: str) -> tuple[int, str, str]:
    """Run ``script`` in bash, where ``$KSTATS`` is the command."""
    command = " ".join([sys.executable, *via])
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE,
        check=False,
        env={**os.environ, "KSTATS": command, **environment},
    )
    return done.returncode, done.stdout, done.stderr
