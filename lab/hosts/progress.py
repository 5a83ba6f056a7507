"""Progress lines on stderr, each with the seconds since the program started."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

_started = time.monotonic()


def say(text: str) -> None:
    """Print one progress line to stderr."""
    print(f"[{time.monotonic() - _started:7.1f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print the start of a long step, and how long it took if it succeeded."""
    say(f"{text} ...")
    begun = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - begun:.1f} s")
