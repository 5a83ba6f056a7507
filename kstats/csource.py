"""Locate the C files: ``bpf/`` next to the package in a checkout, inside it if installed."""

from __future__ import annotations

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


def directory() -> Path:
    """Return the folder that contains the C files."""
    from pathlib import Path  # noqa: PLC0415 - see File

    # Importing importlib.resources takes longer than importing all architectures.
    package = Path(__file__).parent
    installed = package / "bpf"
    return installed if installed.is_dir() else package.parent / "bpf"
