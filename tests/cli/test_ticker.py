"""Reports come at whole multiples of the interval, however late one of them was."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection
from itertools import pairwise
from types import SimpleNamespace

import pytest

from kstats.cli import ticker
from kstats.cli.ticker import Ticker, deferred_signals


class Clock:
    """A clock that moves only while somebody sleeps, and further than asked by ``late``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.late = 0.0
        self.slept: list[float] = []

    def sleep(self, _: Collection[int], seconds: float) -> None:
        """Same as sigtimedwait(2) without a signal."""
        self.slept.append(seconds)
        self.now += seconds + self.late


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that a Ticker sees."""
    made = Clock()
    monkeypatch.setattr(ticker, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(signal, "sigtimedwait", made.sleep)
    return made


def test_deadlines_do_not_drift(clock: Clock) -> None:
    """Work between the waits and late wake-ups move no deadline."""
    clock.late = 0.01
    ticker = Ticker(0.5)
    woken = []
    for _ in range(100):
        assert not ticker.wait()
        woken.append(clock.now - 1000.0)
        clock.now += 0.2
    expected = [0.5 * i + 0.01 for i in range(1, 101)]
    assert woken == pytest.approx(expected)


def test_deadlines_that_have_passed_are_left_out(clock: Clock) -> None:
    ticker = Ticker(1.0)
    ticker.wait()
    clock.now += 3.4
    ticker.wait()
    assert clock.now == pytest.approx(1005.0)
    ticker.wait()
    assert clock.now == pytest.approx(1006.0)


def test_a_deadline_of_this_very_moment_is_not_left_out(clock: Clock) -> None:
    ticker = Ticker(1.0)
    clock.now += 2.0
    ticker.wait()
    assert clock.slept == [0.0]


def test_real_ticks_come_in_time() -> None:
    """Never early. On a busy machine any can be late, but hardly all of them."""
    start = time.monotonic()
    woken = [0.0]
    with deferred_signals():
        ticker = Ticker(0.01)
        for i in range(1, 11):
            assert not ticker.wait()
            woken.append(time.monotonic() - start)
            assert woken[-1] >= 0.01 * i
    assert min(after - before for before, after in pairwise(woken)) < 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    with deferred_signals():
        signal.raise_signal(number)
        assert Ticker(3600.0).wait()


def test_signals_that_come_too_late_to_matter_are_dropped() -> None:
    """One during the last report must not turn its success into an interruption."""
    with deferred_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)


def test_signals_are_as_before_when_the_reports_are_done() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with deferred_signals():
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= ticker.STOPPING
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
