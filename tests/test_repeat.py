"""Tests that fail are repeated once, and only if they are few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repeat import AT_MOST

ONCE = """
from pathlib import Path
def test_of_this_name():
    known = Path(__file__ + ".ran")
    ran = known.exists()
    known.touch()
    assert ran
"""
NEVER = "def test_that_fails():\n    assert False\n"
ALWAYS = "def test_that_passes():\n    pass\n"


def repeat(folder: Path, *texts: str) -> subprocess.CompletedProcess[str]:
    """Run tests of these texts, each in a file."""
    for number, text in enumerate(texts):
        (folder / f"test_{number}.py").write_text(text, encoding="utf-8")
    words = [sys.executable, "-m", "tests.repeat", "-q", "-c", "/dev/null", str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_test_that_passes_when_repeated_is_reported_as_flaky(tmp_path: Path) -> None:
    done = repeat(tmp_path, ONCE, ALWAYS)
    assert done.returncode == 0
    assert "1 failed, 1 passed" in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        "flaky, passed when repeated:",
        "  test_0.py::test_of_this_name",
    ]


def test_a_test_that_fails_again_has_failed(tmp_path: Path) -> None:
    done = repeat(tmp_path, NEVER, ALWAYS)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "flaky" not in done.stdout


def test_many_failures_are_not_repeated(tmp_path: Path) -> None:
    done = repeat(tmp_path, *[ONCE] * (AT_MOST + 1))
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "repeating" not in done.stdout


def test_nothing_is_repeated_where_pytest_itself_fails(tmp_path: Path) -> None:
    assert repeat(tmp_path, "syntax error").returncode == pytest.ExitCode.INTERRUPTED
    assert repeat(tmp_path / "missing").returncode == pytest.ExitCode.USAGE_ERROR
