"""Root imports nothing that a user has planted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kstats.cli import is_roots
from tests.documented import ROOT

NOBODY = 65534
PLANTED = "import sys; sys.exit('planted')"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return the folder of another user, with modules that end the program."""
    for module in ("argparse", "attrs", "tabulate"):
        (tmp_path / f"{module}.py").write_text(PLANTED, encoding="utf-8")
    os.chown(tmp_path, NOBODY, NOBODY)
    return tmp_path


@as_root
@pytest.mark.parametrize("start", ["-m kstats", "-c 'from kstats.cli import main; main()'"])
@pytest.mark.parametrize("command", ["exits --help", "arch svm"])
def test_root_imports_nothing_of_another_user(planted: Path, start: str, command: str) -> None:
    """The folder is on ``PYTHONPATH``, and the working directory."""
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} {start} {command}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=planted,
        env={**os.environ, "PYTHONPATH": f"{planted}:{ROOT}"},
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")


@as_root
def test_folders_of_root_are_for_root_alone(tmp_path: Path) -> None:
    assert is_roots(str(tmp_path))
    tmp_path.chmod(0o777)
    assert not is_roots(str(tmp_path))
    assert not is_roots(str(tmp_path / "missing"))


def test_kstats_and_the_interpreter_remain(tmp_path: Path) -> None:
    """They run already, whoever owns them."""
    assert is_roots(str(ROOT))
    assert all(map(is_roots, (p for p in sys.path if p.startswith(sys.base_prefix))))
    assert not is_roots(f"{tmp_path}/none")
