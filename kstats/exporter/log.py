"""Logging to standard error in logfmt: ``level=info msg="listening" address=127.0.0.1:9991``."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from kstats.escape import printable

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
    handler = logging.StreamHandler()
    handler.setFormatter(Logfmt())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
