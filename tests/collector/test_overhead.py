"""The overhead of counting, as the kernel measures it, on events that really fire."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kstats.collector.live import Collector
from kstats.collector.overhead import MOMENT, Meter, usage
from kstats.collector.percpu import PER_CPU
from kstats.collector.threads import ExitsByThread
from kstats.filters import ThreadFilter
from kstats.host import Host
from kstats.loader import syscall
from kstats.model import MapUsage
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.test_attach import CALLS
from tests.samples import total

pytestmark = pytest.mark.root


@contextmanager
def busy() -> Iterator[None]:
    """A thread that makes system calls all the time."""
    done, libc = threading.Event(), ctypes.CDLL(None)

    def work() -> None:
        while not done.is_set():
            libc.getppid()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_programs_are_timed_for_a_moment_and_not_longer() -> None:
    machine = target()
    with Collector(machine, CALLS) as collector, busy():
        meter = Meter(collector.loaded, machine.host)
        meter.measure()
        overhead = meter.overhead
        infos = collector.loaded.program_infos()
        exits = total(collector.sample())
        assert collector.loaded.program_infos() == infos
    assert 100 < overhead.timed <= exits
    assert overhead.ns_per_exit is not None
    assert 10 < overhead.ns_per_exit < 100_000
    spent = overhead.ns_per_exit * overhead.timed / 1e9
    share = spent / (MOMENT * len(Host().online_cpus())) * 100
    assert 0.1 * share < overhead.cpu_share <= share * 1.01
    assert overhead.process_share > 0


def test_without_exits_there_is_no_figure_for_one() -> None:
    with Collector(target(), PER_CPU) as collector:
        meter = Meter(collector.loaded, collector.target.host)
        kernel.fire(collector.loaded.programs["on_exit"], 0, 1)
        meter.measure()
    assert (meter.overhead.ns_per_exit, meter.overhead.timed, meter.overhead.cpu_share) == (
        None,
        0,
        0.0,
    )


def test_used_entries_are_counted() -> None:
    """Each CPU has 16 entries of its own, four of which are probed for each code."""
    machine = target()
    cpus = len(machine.host.possible_cpus())
    alone = ThreadFilter(pids=frozenset({os.getpid()}))
    with Collector(machine, (ExitsByThread.sized(alone, 16),)) as collector:
        assert usage(collector.loaded, cpus) == {
            "odd_codes": MapUsage(0, 1024),
            "threads": MapUsage(0, 16),
            "more_threads": MapUsage(0, 16),
            "reported_threads": MapUsage(0, 16384),
            "shares": MapUsage(0, 8192),
            "share_deleted": MapUsage(0, 8192),
        }
        # In this thread: the idle thread has number 0, which marks an unused entry.
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            for code in range(1000, 1040):
                kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
        finally:
            os.sched_setaffinity(0, allowed)
        assert usage(collector.loaded, cpus) == {
            "odd_codes": MapUsage(40 - 16 - 16, 1024),
            "threads": MapUsage(16, 16),
            "more_threads": MapUsage(16, 16),
            "reported_threads": MapUsage(1, 16384),
            "shares": MapUsage(2, 8192),  # this process's, and everyone's
            "share_deleted": MapUsage(0, 8192),
        }


def test_statistics_end_with_their_descriptor() -> None:
    with Collector(target(), PER_CPU) as collector:
        on_exit = collector.loaded.programs["on_exit"]
        os.close(syscall.enable_statistics())
        kernel.fire(on_exit, 0, 1)
        assert syscall.program_info(on_exit).runs == 0
