"""A page in a file, for node_exporter's textfile collector."""

from __future__ import annotations

import os
from pathlib import Path

from kstats.errors import KstatsError
from kstats.exporter import log

NAME = "kstats.prom"


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
            self._temporary(b"").unlink()
        except OSError as error:
            raise KstatsError(
                f"cannot write to {folder}: {error.strerror}",
                "give the directory of node_exporter's --collector.textfile.directory",
            ) from error

    def write(self, page: bytes) -> None:
        """Replace the file; log once why that is not possible."""
        complaint = ""
        try:
            self._temporary(page).replace(self.path)
        except OSError as error:
            complaint = error.strerror or str(error)
            if complaint != self._complaint:
                log.error("cannot write the text file", path=self.path, reason=complaint)
        self._complaint = complaint

    def remove(self) -> None:
        """Remove the file: what is in it is no longer true."""
        self.path.unlink(missing_ok=True)

    def _temporary(self, page: bytes) -> Path:
        """Return a new file, under a name that node_exporter does not read."""
        import tempfile  # noqa: PLC0415 - what it imports takes memory, and few need it

        number, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=self._folder)
        path = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(page)
            path.chmod(0o644)  # node_exporter is another user
        except BaseException:
            path.unlink()
            raise
        return path
