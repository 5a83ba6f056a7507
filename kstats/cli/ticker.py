"""Waiting without drift, and stopping on ^C and SIGTERM."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

STOPPING = frozenset((signal.SIGINT, signal.SIGTERM))


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer ^C and SIGTERM to :meth:`Ticker.wait`, so that no report is torn."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        # Another ^C, or one during the last report, changes nothing: we are stopping already.
        while signal.sigtimedwait(_stopping(), 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stopping() -> set[signal.Signals]:
    """Return the signals to stop that are not ignored, as with ``nohup`` and ``&``.

    sigtimedwait takes a blocked signal even if it is ignored.
    """
    return {number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN}


class Waiting:
    """Calls that ^C and SIGTERM end: see :func:`waiting`."""

    def __init__(self) -> None:
        self._asked = False

    def on(self, call: Callable[[], T], instead: T) -> T:
        """Return what ``call`` returns, or ``instead`` if a signal comes or came before."""
        given = instead
        if not self._asked:
            with suppress(KeyboardInterrupt), _interruptible():
                given = call()
            if self._asked:
                end_line()
        return given

    def stop(self, *_: object) -> None:
        """Handle a signal; another one changes nothing."""
        if not self._asked:
            self._asked = True
            raise KeyboardInterrupt


@contextmanager
def waiting() -> Iterator[Waiting]:
    """Let signals to stop end only calls of :meth:`Waiting.on` in the block.

    What was read from a pipe that stays open is still shown, and no report is torn.
    """
    made = Waiting()
    with deferred_signals(), _handled_by(made.stop):
        yield made


def until_asked(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield items until a signal to stop, which interrupts only the wait for the next item."""
    with waiting() as wait:
        while (item := wait.on(lambda: next(items, None), None)) is not None:
            yield item


@contextmanager
def _handled_by(handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _stopping()}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let deferred signals interrupt the block."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def end_line() -> None:
    """End the line in which the terminal shows ^C."""
    if sys.stderr.isatty():
        print(file=sys.stderr)


class Ticker:
    """Deadlines at whole multiples of ``interval`` seconds from the start.

    A late wake-up does not move later deadlines; deadlines that have passed are skipped.
    """

    def __init__(self, interval: float) -> None:
        """The first deadline is ``interval`` from now."""
        self._interval = interval
        self._start = time.monotonic()
        self._ticks = 0

    def wait(self) -> bool:
        """Sleep until the next deadline; return whether a signal to stop came before it.

        Signals must be deferred (:func:`deferred_signals`).
        """
        passed = (time.monotonic() - self._start) / self._interval
        self._ticks = max(self._ticks + 1, math.ceil(passed))
        left = self._start + self._ticks * self._interval - time.monotonic()
        return signal.sigtimedwait(_stopping(), max(left, 0)) is not None
