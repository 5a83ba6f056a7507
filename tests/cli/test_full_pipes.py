"""^C and SIGTERM while the reader of a pipe does not read."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cli.process import deadline, start

PAGE = os.sysconf("SC_PAGE_SIZE")
RECORDING = "examples/recordings/svm.jsonl"
INTERRUPTED = 130


@pytest.fixture
def pipe() -> Iterator[int]:
    """Return the writing end of a pipe that nobody reads, with room for one write."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 2 * PAGE)
    os.write(writer, bytes(PAGE))
    yield writer
    os.close(reader)
    os.close(writer)


def status_after(
    number: signal.Signals, process: subprocess.Popen[str], pipe: int, *, again: bool
) -> int:
    """Send a signal once the pipe is full; with ``again`` until it ends, if it came too early."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    with deadline(process):
        while poll.poll(0):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        while again and process.poll() is None:
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        process.wait()
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "words", ["-v 0.01", "-v 0.01 -f json", "record --by cpu -o - 0.01", f"cpu --input {RECORDING}"]
)
def test_counting_ends(words: str, number: signal.Signals, pipe: int) -> None:
    process = start(*words.split(), stdout=pipe, stderr=subprocess.DEVNULL)
    assert status_after(number, process, pipe, again=True) in (INTERRUPTED, -number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_counting_ends_if_nobody_reads_the_messages(number: signal.Signals, pipe: int) -> None:
    process = start("-v", "0.01", "-f", "csv", stdout=subprocess.DEVNULL, stderr=pipe)
    assert status_after(number, process, pipe, again=True) in (INTERRUPTED, -number)


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
    assert status_after(signal.SIGINT, process, pipe, again=False) == INTERRUPTED
