"""Recordings: samples in a file, to be shown later and elsewhere.

::

    from kstats import recording

    with recording.read("kstats.jsonl.zst") as kept:
        kept.header.host.name             # the recorded host
        for sample in kept:               # one at a time
            ...

    with recording.Writer("mine.jsonl", recording.describe(host, "x64", ["vmx"])) as writer:
        writer.write(sample)

Neither root nor bcc nor the architecture that was recorded is needed. The format is in
docs/recording.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kstats.errors import MissingLibraryError, RecordingError
from kstats.recording.header import Clock, Header, IsaTable, Machine, describe, header_of
from kstats.recording.merge import merged
from kstats.recording.reader import Recording, read

if TYPE_CHECKING:
    from kstats.recording.writer import Rotation, Writer
else:

    def __getattr__(name: str) -> object:
        """Import the writer when it is used: reading does not need it."""
        if name not in {"Rotation", "Writer"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from kstats.recording import writer  # noqa: PLC0415

        return getattr(writer, name)


__all__ = [
    "Clock",
    "Header",
    "IsaTable",
    "Machine",
    "MissingLibraryError",
    "Recording",
    "RecordingError",
    "Rotation",
    "Writer",
    "describe",
    "header_of",
    "merged",
    "read",
]
