"""Unpack packages into a directory, without the files that no host needs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.hosts.errors import BuildError

SECONDS = 300


def unpack(archives: Sequence[Path], root: Path, *, without: Sequence[str] = ()) -> None:
    """Unpack the files of packages below `root`.

    Args:
        archives: Debian packages of any architecture.
        root: An existing directory; links to directories in it are followed, not replaced.
        without: Patterns of paths to leave out, as for `tar --exclude` (`./usr/share/doc`).

    Raises:
        BuildError: A package is damaged, or the disk is full.
    """
    excludes = [f"--exclude={pattern}" for pattern in without]
    for archive in archives:
        _unpack(archive, ["tar", "-x", "--keep-directory-symlink", "-C", str(root), *excludes])


def _unpack(archive: Path, tar: list[str]) -> None:
    # Unlike `dpkg-deb -x`, tar can exclude files: half of some packages is not needed.
    words = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    try:
        with subprocess.Popen(words, stdout=subprocess.PIPE) as deb:
            done = subprocess.run(
                tar, stdin=deb.stdout, capture_output=True, text=True, timeout=SECONDS, check=False
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"unpacking {archive.name}", str(error)) from error
    if deb.returncode or done.returncode:
        raise BuildError(f"unpacking {archive.name}", done.stderr)
