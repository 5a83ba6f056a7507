"""A page in a file, for node_exporter's textfile collector."""

from __future__ import annotations

from pathlib import Path

from kstats import outfile
from kstats.errors import KstatsError
from kstats.exporter import log

NAME = "kstats.prom"

_MODE = 0o644  # node_exporter is another user


class Textfile:
    """``kstats.prom`` in a folder. It is replaced as a whole, so that no reader sees half of it.

    Raises:
        KstatsError: The folder does not exist, or no file can be created there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._complaint = ""
        self.path = folder / NAME
        try:
            outfile.check_folder(folder)
        except OSError as error:
            raise KstatsError(
                f"cannot write to {folder}: {error.strerror}",
                "give the directory of node_exporter's --collector.textfile.directory",
            ) from error

    def write(self, page: bytes) -> None:
        """Replace the file; log once why that is not possible."""
        complaint = ""
        try:
            outfile.replace(self.path, page, _MODE)
        except OSError as error:
            complaint = error.strerror or str(error)
            if complaint != self._complaint:
                log.error("cannot write the text file", path=self.path, reason=complaint)
        self._complaint = complaint

    def remove(self) -> None:
        """Remove the file: what is in it is no longer true."""
        self.path.unlink(missing_ok=True)
