"""Readers that leave, disks that are full, streams that were never open, and terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from itertools import pairwise

import pytest

from tests.cli.process import DEADLINE, ROOT, finish, shell, start

FULL = "kstats: cannot write to standard output: No space left on device\n"
CLOSED = "kstats: cannot write to standard output: it is closed\n"


@pytest.mark.parametrize("buffering", ["", "1"])
def test_a_reader_that_leaves_ends_it_quietly(buffering: str) -> None:
    status, out, err = shell(
        "$KSTATS -v 0.01 | head -1; exit ${PIPESTATUS[0]}", PYTHONUNBUFFERED=buffering
    )
    assert (status, err) == (0, "")
    assert out.startswith("cpu vm_entry vm_exit")


@pytest.mark.parametrize("words", ["-v 0.01", "--help", "doctor --help"])
def test_a_full_disk_is_reported_in_one_line(words: str) -> None:
    assert shell(f"$KSTATS {words} > /dev/full") == (1, "", FULL)


def test_a_full_disk_is_reported_without_a_buffer_too() -> None:
    assert shell("$KSTATS --version > /dev/full", PYTHONUNBUFFERED="1") == (1, "", FULL)


def test_a_closed_output_is_reported_before_anything_is_done() -> None:
    assert shell("$KSTATS -v 60 >&-") == (1, "", CLOSED)


def test_nobody_to_read_or_to_complain_to_is_no_crash() -> None:
    assert shell("$KSTATS -v 0.01 1 <&- >&- 2>&-") == (1, "", "")


def test_closed_input_and_complaints_do_not_get_into_the_output() -> None:
    """Descriptors 0 and 2 must not become those of something else."""
    status, out, _ = shell("$KSTATS -v -f csv 0.01 1 <&- 2>&-")
    assert status == 0
    assert [line.split(",")[2] for line in out.splitlines()] == ["cpu", "0", "1"]


def test_what_a_csv_has_no_room_for_goes_to_the_complaints() -> None:
    status, out, err = finish(start("-v", "-f", "csv", "0.01", "1"))
    assert (status, len(out.splitlines())) == (0, 3)
    assert err.splitlines()[0] == "kstats: scripted"
    assert err.splitlines()[1].startswith("kstats: 1 exit with a dropped code")


NAMES = (
    "from kstats.cli import guarded; guarded(lambda: print('b\\xfcro \\u732b') or 0, debug=False)"
)


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("ascii", b"b\\xfcro \\u732b\n"), ("latin-1", b"b\xfcro \\u732b\n")],
)
def test_a_locale_without_the_letters_of_a_name_is_no_crash(encoding: str, printed: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NAMES],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=DEADLINE,
        check=False,
    )
    assert (done.stdout, done.stderr) == (printed, b"")


def test_on_a_terminal_the_header_is_repeated_by_the_terminals_size() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("=4H", 10, 132, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in {"LINES", "COLUMNS"}}
    environment |= {"TERM": "dumb"}
    status, _, _ = finish(start("-v", "0.01", "9", stdout=theirs, env=environment))
    os.close(theirs)
    lines = os.read(ours, 1 << 16).decode().splitlines()
    os.close(ours)
    assert status == 0
    headers = [i for i, line in enumerate(lines) if line.startswith("cpu vm_entry")]
    assert headers[0] == 0
    assert 2 < len(headers) < 9
    # The cursor is on the tenth line.
    assert all(after - before <= 9 for before, after in pairwise([*headers, len(lines)]))
