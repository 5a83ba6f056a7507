"""Locate the C files: ``bpf/`` next to the package in a checkout, inside it if installed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class File:
    """A C file of kstats by its name, with the methods of :class:`kstats.arch.base.CFile`.

    Unlike a Path, it can be created without importing pathlib, which takes a third of the time
    that importing all architectures takes.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return str(directory() / self.name)

    def is_file(self) -> bool:
        """Return whether the file exists."""
        return (directory() / self.name).is_file()

    def read_text(self, encoding: str) -> str:
        """Return the text of the file."""
        return (directory() / self.name).read_text(encoding)


class Objects:
    """The folder of prebuilt objects, as :class:`kstats.arch.base.ObjectFolder`; see File."""

    def is_dir(self) -> bool:
        """Return whether kstats was built with objects."""
        return self._folder().is_dir()

    def joinpath(self, name: str, /) -> Path:
        """Return an object's path."""
        return self._folder() / name

    @staticmethod
    def _folder() -> Path:
        return directory() / "objects"


@functools.cache
def directory() -> Path:
    """Return the folder that contains the C files.

    If kstats runs from an archive (kstats.pyz), the compiler cannot read them there: unpack them
    into a temporary folder, which is removed when the process ends.
    """
    from pathlib import Path  # noqa: PLC0415 - see File

    # Importing importlib.resources takes longer than importing all architectures.
    package = Path(__file__).parent
    if not package.is_dir():
        return _unpacked()
    installed = package / "bpf"
    return installed if installed.is_dir() else package.parent / "bpf"


def _unpacked() -> Path:
    import atexit  # noqa: PLC0415 - only in an archive
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    archive = Path(__file__).parent.parent
    folder = tempfile.TemporaryDirectory(prefix="kstats-")
    atexit.register(folder.cleanup)
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder.name, [n for n in files.namelist() if n.startswith("kstats/bpf/")])
    return Path(folder.name, "kstats/bpf")
