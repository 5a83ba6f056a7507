"""Run pytest; if a few tests fail, run those once more, alone and on newly booted hosts.

    python -m tests.repeat -m host -n 3

Emulated hosts on a busy machine are unlike hardware: now and then one stalls for seconds or loses a
byte of its console. A test that passes when it is repeated is reported as flaky, and is a defect of
the test or of kstats to be found. More than ``AT_MOST`` failures are never repeated.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

AT_MOST = 2
"""Failures that are repeated at most; with more of them, something is broken."""


def run(arguments: Sequence[str]) -> int:
    """Run pytest with these arguments; return its exit status, or that of the repetition."""
    with tempfile.TemporaryDirectory() as folder:
        status = _pytest(folder, *arguments)
        failed = _failed(Path(folder))
        if status != pytest.ExitCode.TESTS_FAILED or not 0 < len(failed) <= AT_MOST:
            return status
        print("repeating what failed:", *failed, sep="\n  ", flush=True)
        status = _pytest(folder, "--last-failed", *arguments, "-n", "0")
        if status == pytest.ExitCode.OK:
            print("flaky, passed when repeated:", *failed, sep="\n  ")
        return status


def _pytest(folder: str, *arguments: str) -> int:
    words = [sys.executable, "-m", "pytest", "-o", f"cache_dir={folder}", *arguments]
    return subprocess.run(words, check=False).returncode


def _failed(cache: Path) -> list[str]:
    try:
        return sorted(json.loads((cache / "v/cache/lastfailed").read_bytes()))
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
