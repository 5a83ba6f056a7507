"""Make the packages, find them, and install the .deb."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.payload import ROOT
from lab.trees import Tree

MOST_KIB = 15 * 1024
"""The most that kstats and all that it needs to count may take beyond Python."""


def packages(folder: Path, umask: int = 0o022) -> Path:
    """Make the packages in a folder; return it."""
    tool = [sys.executable, str(ROOT / "tools/make_packages.py"), str(folder)]
    subprocess.run(tool, check=True, umask=umask)
    return folder


def one(packages: Path, kind: str) -> Path:
    """Return the package of a kind: deb, rpm or pyz."""
    (found,) = packages.glob(f"*.{kind}")
    return found


def depends(packages: Path) -> str:
    """Return what the .deb depends on."""
    words = ["dpkg-deb", "-f", str(one(packages, "deb")), "Depends"]
    return subprocess.check_output(words, text=True).strip()


def install(tree: Tree, deb: str) -> dict[str, int]:
    """Install the .deb, for which apt finds the libraries, without a network.

    Return the KiB of each package that is installed now and was not before.
    """
    before = tree.installed()
    words = ["apt-get", "install", "-q", "-y", "--no-install-recommends", deb]
    done = tree.run(*words, DEBIAN_FRONTEND="noninteractive")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return {name: size for name, size in tree.installed().items() if name not in before}
