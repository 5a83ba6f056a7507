"""Make the packages and find them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.payload import ROOT


def packages(folder: Path, umask: int = 0o022) -> Path:
    """Make the packages in a folder; return it."""
    tool = [sys.executable, str(ROOT / "tools/make_packages.py"), str(folder)]
    subprocess.run(tool, check=True, umask=umask)
    return folder


def one(packages: Path, kind: str) -> Path:
    """Return the package of a kind: deb, rpm or pyz."""
    (found,) = packages.glob(f"*.{kind}")
    return found
