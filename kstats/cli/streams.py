"""Standard streams in every state: closed, full, or left by their reader.

Every command pays for this module, so it imports little.
"""

from __future__ import annotations

import io
import os
import stat
import sys

from kstats.errors import OutputError

TYPE_CHECKING = False  # importing typing would double the time that kstats --version takes
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO


def prepare() -> None:
    """Make the standard streams usable, however the caller left them.

    Open /dev/null where a descriptor is closed: a socket or a BPF map would get its number, and
    then what is printed. Escape characters that the locale cannot encode, as in names of VMs.

    Raises:
        OutputError: Standard output is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # Python has None for a stream that was closed when it started.
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until exit
    if sys.stdout is None:
        raise OutputError("it is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def heed_signals() -> None:
    """Let ^C and SIGTERM end the wait for the reader of a full pipe, also where they are deferred.

    Call it after :func:`prepare`.
    """
    out = sys.stdout
    if out is not sys.__stdout__ or not isinstance(out, io.TextIOWrapper):
        return  # replaced by a program that imports kstats
    mode = os.fstat(out.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        from kstats import pipes  # noqa: PLC0415 - terminals and files do not need it

        buffer = io.BufferedWriter(pipes.Pipe(out.fileno()))
        sys.stdout = io.TextIOWrapper(buffer, out.encoding, out.errors)


class writing:  # noqa: N801 - used like a function: with writing() as out
    """Give standard output to a block and flush it at the end.

    Raises:
        BrokenPipeError: The reader went away.
        OutputError: Standard output cannot be written: the disk is full, for example.
    """

    def __enter__(self) -> TextIO:
        return sys.stdout

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                sys.stdout.flush()
        except OSError as failure:
            error = failure
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise OutputError(error.strerror or str(error)) from error
        if error is not None and kind is None:
            raise error


def discard() -> None:
    """Drop buffered output, which would fail again when Python flushes it at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
