"""Standard streams as they may be: closed, full, or left by their reader."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from kstats.errors import OutputError


def prepare() -> None:
    """Makes the standard streams fit for use, whatever the caller left of them.

    /dev/null is opened where a descriptor is closed; else a socket or a BPF map would get its
    number, and what is printed there. Names of VMs that a locale has no letters for are escaped.

    Raises:
        OutputError: standard output is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # Python has None for a stream that was closed when it started.
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.stdout is None:
        raise OutputError("it is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def writing() -> Iterator[TextIO]:
    """Standard output, flushed at the end.

    Raises:
        BrokenPipeError: the reader went away.
        OutputError: it takes nothing for another reason: the disk is full, for example.
    """
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error


def discard() -> None:
    """Drops what is still buffered, which would fail once more when Python flushes at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
