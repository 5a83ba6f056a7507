"""Waiting without drift, and stopping when asked."""

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
    """Keeps ^C and SIGTERM for :meth:`Ticker.wait`, so that no report is torn."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        # One more ^C, or one during the last report, asks for what is being done already.
        while signal.sigtimedwait(_heeded(), 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _heeded() -> set[signal.Signals]:
    """Those that whoever started kstats did not have it ignore, as ``nohup`` and ``&`` do.

    A blocked signal is delivered to sigtimedwait even if it is ignored.
    """
    return {number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN}


class Waiting:
    """^C and SIGTERM as they end waiting, and nothing else: see :func:`waiting`."""

    def __init__(self) -> None:
        self._asked = False

    def on(self, call: Callable[[], T], instead: T) -> T:
        """What ``call`` gives; ``instead`` if a signal comes meanwhile, or came before."""
        given = instead
        if not self._asked:
            with suppress(KeyboardInterrupt), _heard():
                given = call()
            if self._asked:
                end_line()
        return given

    def stop(self, *_: object) -> None:
        """Called for a signal. One more asks for what is being done already."""
        if not self._asked:
            self._asked = True
            raise KeyboardInterrupt


@contextmanager
def waiting() -> Iterator[Waiting]:
    """Within the block, signals to stop are heeded by :meth:`Waiting.on` alone.

    So what was read from a pipe that lasts is shown, and no report is torn.
    """
    made = Waiting()
    with deferred_signals(), _handled_by(made.stop):
        yield made


def until_asked(items: Iterator[T]) -> Generator[T, None, None]:
    """The items until a signal asks to stop; nothing but waiting for the next one is cut short."""
    with waiting() as wait:
        while (item := wait.on(lambda: next(items, None), None)) is not None:
            yield item


@contextmanager
def _handled_by(handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _heeded()}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def _heard() -> Iterator[None]:
    """Lets deferred signals interrupt the block."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def end_line() -> None:
    """After a signal: the terminal shows ^C at the start of the line that comes next."""
    if sys.stderr.isatty():
        print(file=sys.stderr)


class Ticker:
    """Deadlines at whole multiples of ``interval`` seconds after its making.

    A late wake-up does not move the deadlines after it; those that have passed are left out.
    """

    def __init__(self, interval: float) -> None:
        """The first deadline is ``interval`` from now."""
        self._interval = interval
        self._start = time.monotonic()
        self._ticks = 0

    def wait(self) -> bool:
        """Sleeps until the next deadline; True if a signal asked to stop before it.

        Signals must be blocked (:func:`deferred_signals`).
        """
        passed = (time.monotonic() - self._start) / self._interval
        self._ticks = max(self._ticks + 1, math.ceil(passed))
        left = self._start + self._ticks * self._interval - time.monotonic()
        return signal.sigtimedwait(_heeded(), max(left, 0)) is not None
