"""The systemd units, checked by systemd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy/systemd").glob("kstats-*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]

MOST_EXPOSED = 20
"""systemd's exposure level times ten: 2.0 of 10."""


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the man pages."""
    folder = tmp_path_factory.mktemp("man")
    pages = folder / "man8"
    assert run(sys.executable, ROOT / "tools/gen_man.py", pages).returncode == 0
    return folder


def test_systemd_finds_no_fault(tmp_path: Path, manual: Path) -> None:
    """Neither in the options nor in the man pages that the units name."""
    program = tmp_path / "kstats"
    program.touch(mode=0o755)
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/usr/bin/kstats", str(program))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = run(
        *("systemd-analyze", "verify", "--man=yes", "--recursive-errors=no"),
        *(tmp_path / unit.name for unit in UNITS),
        MANPATH=str(manual),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_services_are_hardly_exposed(unit: Path) -> None:
    threshold = f"--threshold={MOST_EXPOSED}"
    done = run("systemd-analyze", "security", "--offline=true", threshold, "--no-pager", unit)
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout


def test_unknown_options_and_pages_are_faults(tmp_path: Path, manual: Path) -> None:
    """The checks above can fail."""
    unit = tmp_path / "wrong.service"
    unit.write_text("[Unit]\nDocumentation=man:kstats-none(8)\n[Service]\nExecStart=/bin/true\n")
    done = run("systemd-analyze", "verify", "--man=yes", unit, MANPATH=str(manual))
    assert "kstats-none" in done.stderr
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    assert done.returncode == 1
