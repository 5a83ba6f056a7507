"""Feeds the reader what a coverage-guided fuzzer (atheris) makes of good recordings.

``python -m tests.recording.fuzz [SECONDS]``; ends with a traceback and the input in crash-* if
anything but samples or a RecordingError comes of it.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kstats", "json"]):
    from kstats.errors import RecordingError
    from kstats.recording import Recording, files, merged

from tests.recording.test_malformed import GOOD

SECONDS = 60


def one(data: bytes) -> None:
    """Reads ``data`` as a recording."""
    try:
        for sample in merged(Recording("fuzz", io.BytesIO(data)), 2.5):
            assert sample.timestamp
    except RecordingError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it need not be raised


def main() -> None:
    """Fuzzes; never returns."""
    seconds = int(sys.argv[1]) if sys.argv[1:] else SECONDS
    folder = Path(tempfile.mkdtemp())
    (folder / "plain").write_text("".join(GOOD), encoding="utf-8")
    packed = [files.packed(line, compressed=True) for line in GOOD]
    (folder / "packed").write_bytes(b"".join(packed))
    words = ("header", "type", "sample", "counts", "series", "facts", "empty", "key", "exits")
    tokens = folder / "words"
    tokens.write_text("".join(f'"\\"{word}\\""\n' for word in words), encoding="utf-8")
    options = [f"-max_total_time={seconds}", "-max_len=4096", f"-dict={tokens}"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(folder)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
