"""The packages, built once, and the systems to install them into."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.packaging import made


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages."""
    return made.packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def depends(packages: Path) -> str:
    """Return what the .deb depends on, which apt must have in the systems."""
    if os.geteuid():
        pytest.fail("this test changes its root: run it as root, or exclude it: -m 'not install'")
    return made.depends(packages)
