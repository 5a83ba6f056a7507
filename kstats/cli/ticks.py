"""Waiting without drift, and stopping when asked."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
