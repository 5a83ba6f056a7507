"""Logging to standard error in logfmt: ``level=info msg="listening" address=127.0.0.1:9991``."""

from __future__ import annotations

import logging
import os
import select
import sys
from contextlib import suppress
from datetime import UTC, datetime

from kstats.escape import printable
from kstats.pipes import has_room

LOG = logging.getLogger("kstats.exporter")

_LONGEST = 1000


class Logfmt(logging.Formatter):
    """Formats a record as pairs; those of ``extra={"fields": {…}}`` come last."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower().replace("warning", "warn"),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return " ".join(f"{name}={_quoted(str(value))}" for name, value in fields.items())


class Descriptor(logging.Handler):
    """Writes lines to a file, pipe or socket, and never waits for its reader.

    A line is dropped if there is no room for it; the next one has ``dropped=N``.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.setFormatter(Logfmt())
        self._descriptor = descriptor
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, at most as long as a pipe that poll(2) calls writable has room for."""
        dropped = f" dropped={self._dropped}" if self._dropped else ""
        end = f"{dropped}\n".encode()
        line = self.format(record).encode(errors="backslashreplace")
        with suppress(OSError):  # without a reader there is nobody to report it to
            if has_room(self._descriptor):
                os.write(self._descriptor, line[: select.PIPE_BUF - len(end)] + end)
                self._dropped = 0
                return
        self._dropped += 1


def _quoted(value: str) -> str:
    text = printable(value, _LONGEST).replace(r"\\", "\\")
    if text and not set(text) & set(' ="'):
        return text
    return '"' + text.replace('"', r"\"") + '"'


def info(message: str, **fields: object) -> None:
    """Log an event."""
    LOG.info(message, extra={"fields": fields})


def warning(message: str, **fields: object) -> None:
    """Log something that an operator should know."""
    LOG.warning(message, extra={"fields": fields})


def error(message: str, **fields: object) -> None:
    """Log something that failed."""
    LOG.error(message, extra={"fields": fields})


def start() -> None:
    """Log to standard error from now on, also what asyncio logs."""
    handler = Descriptor(sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
