"""Locate the C files: ``bpf/`` next to the package in a checkout, inside it if installed."""

from __future__ import annotations

import functools
import os


class File:
    """A file of :func:`directory` by its name, as :class:`kstats.arch.base.CFile` or an object.

    Unlike a Path, it can be created without importing pathlib, which takes a tenth of a start.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"{directory()}/{self.name}"

    def is_file(self) -> bool:
        """Return whether the file exists."""
        return os.path.isfile(str(self))  # noqa: PTH113 - start-up time

    def read_text(self, encoding: str) -> str:
        """Return the text of the file."""
        return self.read_bytes().decode(encoding)

    def read_bytes(self) -> bytes:
        """Return the contents of the file."""
        with open(str(self), "rb") as file:  # noqa: PTH123 - start-up time
            return file.read()


class Objects:
    """The folder of prebuilt objects, as :class:`kstats.arch.base.ObjectFolder`."""

    def is_dir(self) -> bool:
        """Return whether kstats was built with objects."""
        return os.path.isdir(f"{directory()}/objects")  # noqa: PTH112 - start-up time

    def joinpath(self, name: str, /) -> File:
        """Return an object."""
        return File(f"objects/{name}")


@functools.cache
def directory() -> str:
    """Return the absolute path of the folder that contains the C files.

    If kstats runs from an archive (kstats.pyz), the compiler cannot read them there: unpack them
    into a temporary folder, which is removed when the process ends.
    """
    # Importing importlib.resources takes longer than importing all architectures.
    package, _, _ = os.path.abspath(__file__).rpartition("/")  # noqa: PTH100 - start-up time
    parent, _, _ = package.rpartition("/")
    if not os.path.isdir(package):  # noqa: PTH112
        return _unpacked(parent)
    installed = f"{package}/bpf"
    return installed if os.path.isdir(installed) else f"{parent}/bpf"  # noqa: PTH112


def _unpacked(archive: str) -> str:
    import atexit  # noqa: PLC0415 - only in an archive
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    folder = tempfile.TemporaryDirectory(prefix="kstats-")
    atexit.register(folder.cleanup)
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder.name, [n for n in files.namelist() if n.startswith("kstats/bpf/")])
    return f"{folder.name}/kstats/bpf"
