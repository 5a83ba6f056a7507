"""^C and SIGTERM while the reader of a pipe does not read."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.process import deadline, start

PAGE = os.sysconf("SC_PAGE_SIZE")
RECORDING = "examples/recordings/svm.jsonl"
INTERRUPTED = 130
INTERVAL = 0.01


@pytest.fixture
def pipe() -> Iterator[int]:
    """Return the writing end of a pipe that nobody reads, with room for one write."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 2 * PAGE)
    os.write(writer, bytes(PAGE))
    yield writer
    os.close(reader)
    os.close(writer)


def sleeps(process: subprocess.Popen[str]) -> bool:
    """Return whether a process sleeps for longer than the intervals of these tests."""
    before = slept(process)
    time.sleep(20 * INTERVAL)
    return before is not None and slept(process) == before


def slept(process: subprocess.Popen[str]) -> str | None:
    """Return how often a process went to sleep; None if it does not sleep now."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    return fields["voluntary_ctxt_switches"] if fields["State"].startswith("S") else None


def status_after(number: signal.Signals, process: subprocess.Popen[str], pipe: int) -> int:
    """Send a signal once the process waits for the full pipe; return how it ends."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    with deadline(process):
        while poll.poll(0) or not sleeps(process):
            assert process.poll() is None
        process.send_signal(number)
        process.wait()
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "words",
    [
        f"-v {INTERVAL}",
        f"-v {INTERVAL} -f json",
        f"record --by cpu -o - {INTERVAL}",
        f"cpu --input {RECORDING}",
    ],
)
def test_counting_ends(words: str, number: signal.Signals, pipe: int) -> None:
    process = start(*words.split(), stdout=pipe, stderr=subprocess.DEVNULL)
    assert status_after(number, process, pipe) in (INTERRUPTED, -number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_counting_ends_if_nobody_reads_the_messages(number: signal.Signals, pipe: int) -> None:
    process = start("-v", str(INTERVAL), "-f", "csv", stdout=subprocess.DEVNULL, stderr=pipe)
    assert status_after(number, process, pipe) in (INTERRUPTED, -number)


@pytest.mark.parametrize(
    "words",
    [
        "arch svm",
        f"export --input {RECORDING} -f openmetrics",
        f"report -o /dev/stdout {RECORDING}",
    ],
)
def test_everything_else_ends(words: str, pipe: int) -> None:
    process = start(*words.split(), stdout=pipe, stderr=subprocess.DEVNULL)
    assert status_after(signal.SIGINT, process, pipe) == INTERRUPTED
