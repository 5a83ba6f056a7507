"""Tests whose host was lost run once more; those that failed stay failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TESTS = """
from pathlib import Path
import pytest
from lab.hosts import HostLost

pytestmark = pytest.mark.host
SEEN = Path(__file__).with_name("seen")

def test_in_a_host():
    if not SEEN.exists():
        SEEN.touch()
        raise HostLost("svm", "the machine stopped", "")

def test_of_something():
    assert {passes}
"""


@pytest.mark.parametrize(("passes", "status"), [(True, 0), (False, 1)])
def test_only_what_a_lost_host_broke_off_is_forgiven(
    tmp_path: Path, *, passes: bool, status: int
) -> None:
    file = tmp_path / "test_made_up.py"
    file.write_text(TESTS.format(passes=passes), encoding="utf-8")
    words = [sys.executable, "-m", "tests.live", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 tests lost their host: they run once more" in done.stdout
    assert "1 passed" in done.stdout.splitlines()[-1]
    assert done.returncode == status, done.stdout
