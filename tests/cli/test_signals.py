"""^C and SIGTERM: what was counted is shown, and a shell learns whether anything was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kstats.recording.encode import Encoder, header_line
from tests.cli.process import deadline, finish, first_lines, start
from tests.cli.scripted import COUNT, SLOW
from tests.recording.samples import HEADER
from tests.samples import sample


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_an_interval_shows_what_was_counted(number: signal.Signals) -> None:
    process = start("-v", "0.3")
    header, *_ = first_lines(process, 5)
    process.send_signal(number)
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    lines = out.splitlines()  # on a busy machine the first report has one more note
    *_, busy, idle = (line for line in lines if not line.startswith("#"))
    assert header.startswith("cpu vm_entry vm_exit")
    assert busy.split()[:3] == ["0", str(COUNT), str(COUNT)]
    assert idle.split()[:3] == ["1", "0", "1"]
    assert lines[-1].endswith("seconds, not 0.3")


def test_more_signals_than_one_change_nothing() -> None:
    """People press ^C until they are heard."""
    process = start("-v", "0.3", "-f", "json")
    first_lines(process, 1)
    os.kill(process.pid, signal.SIGSTOP)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    os.kill(process.pid, signal.SIGCONT)
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    *_, last = out.splitlines()  # on a busy machine there may be more before the first signal
    assert json.loads(last)["rows"][0]["vm_exit"] == COUNT


def test_an_interrupt_before_the_first_report_exits_with_130() -> None:
    process = start("-v", env={**os.environ, SLOW: "1"})
    assert process.stderr
    assert process.stderr.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert finish(process) == (130, "", "")


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    """A script that starts it in the background with & means it to outlive a ^C."""
    process = start(
        *("-v", "0.1", "3", "-f", "json"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    first_lines(process, 1)
    process.send_signal(signal.SIGINT)
    status, out, _ = finish(process)
    assert status == 0
    assert len(out.splitlines()) == 2


def test_on_a_terminal_the_report_does_not_begin_behind_the_caret() -> None:
    """The terminal shows ^C where the cursor is: at the start of the report's line."""
    ours, theirs = os.openpty()
    process = start("-v", "0.3", stderr=theirs)
    first_lines(process, 5)
    process.send_signal(signal.SIGINT)
    status, _, _ = finish(process)
    os.close(theirs)
    assert status == 0
    assert os.read(ours, 100) == b"\r\n"
    os.close(ours)


TRACE = Path(__file__).parent.parent / "data" / "decode" / "svm" / "perf.txt"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_trace_that_comes_through_a_pipe(number: signal.Signals) -> None:
    words = ("decode", "-", "--interval", "0.01", "--by", "reason", "-f", "json")
    rows = rows_until(number, words, TRACE.read_text())
    kept = json.loads(TRACE.with_name("kstats.json").read_text())
    assert sum(row["count"] for row in rows) == sum(row["count"] for row in kept)


RECORDED = "".join(
    [
        header_line(HEADER),
        *map(Encoder().line, [sample({("vmx", 48): {0: n}}, entries={0: n}) for n in (7, 8, 9)]),
    ]
)


def rows_until(number: signal.Signals, words: Sequence[str], given: str) -> list[dict[str, Any]]:
    """The rows that are shown of what a pipe gave before a signal; the pipe lasts."""
    process = start(*words, stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(given)
    process.stdin.flush()
    first = first_lines(process, 1)
    wait_asleep(process)
    process.send_signal(number)
    status, out, err = finish(process)
    process.stdin.close()
    assert (status, err) == (0, "")
    return [row for line in [*first, *out.splitlines()] for row in json.loads(line)["rows"]]


def wait_asleep(process: subprocess.Popen[str]) -> None:
    """Waits until it waits: what it was given so far is read."""
    with deadline(process):
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("words", "counts"),
    [("-v", [7, 0, 8, 0, 9, 0]), ("-v 2", [15, 0, 9, 0]), ("exits --by reason 2 9", [15, 9])],
)
def test_a_signal_ends_a_recording_that_comes_through_a_pipe(
    words: str, counts: list[int], number: signal.Signals
) -> None:
    """As it ends counting: what came is shown, also what would have waited for more."""
    rows = rows_until(number, (*words.split(), "-f", "json", "--input", "-"), RECORDED)
    assert [row.get("vm_exit", row.get("count")) for row in rows] == counts
