"""Events other than exits: differences of readings, filters, and events that a kernel lacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from kstats import arch as arches
from kstats.arch.kvmstat import Event
from kstats.collector import tracepoints
from kstats.collector.live import Collector
from kstats.collector.threads import ExitsByThread
from kstats.collector.tracepoints import QUALIFIER, Reading, Tracepoints
from kstats.filters import ThreadFilter
from kstats.model import Sample
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.readings import ME, between, totals
from tests.collector.test_threads import in_threads, me
from tests.samples import counts

READ = Event("kvm_mmio", arg=0, values=frozenset({1, 2}))
FAST = Event("kvm_fast_mmio")
NOT_HERE = Event("kvm_of_another_planet")
TOO_FEW = Event("kvm_fast_mmio", arg=7, values=frozenset({1}))
COUNTING = Tracepoints((READ, FAST, NOT_HERE))

Counts = Mapping[tuple[int, int, int], int]


def code(number: int) -> int:
    return QUALIFIER << 32 | number


def sample(before: Counts, now: Counts, others: Mapping[tuple[int, int], int]) -> Sample:
    """What is counted between two sets of totals by (thread, code, cpu)."""
    here = frozenset({0, 1})
    fired = COUNTING, Reading({(1, 0): 4}, here), Reading(others, here)
    return between(fired, (ExitsByThread(), totals(before), totals(now)))


def test_events_are_taken_apart_from_exits() -> None:
    before = {(ME, 1, 0): 5, (ME, code(0), 0): 2}
    now = {(ME, 1, 0): 8, (ME, code(0), 0): 9, (ME, code(1), 1): 1}
    got = sample(before, now, {(1, 0): 4})
    assert counts(got.exits) == {("native", 1): {(0, ME): 3}}
    assert counts(got.events) == {READ.label: {(0, ME): 7}, FAST.label: {(1, ME): 1}}


def test_an_event_that_did_not_happen_is_not_one_that_was_not_counted() -> None:
    got = sample({}, {}, {(1, 0): 4})
    assert counts(got.events) == {READ.label: {}, FAST.label: {}}


def test_an_event_that_lost_its_thread_keeps_its_cpu() -> None:
    got = sample({}, {(ME, code(1), 0): 2}, {(1, 0): 7, (0, 1): 1})
    assert counts(got.events) == {READ.label: {(1, 0): 1}, FAST.label: {(0, ME): 2, (0, 0): 3}}


@pytest.mark.parametrize("isa", [isa.name for arch in arches.arches() for isa in arch.isas])
def test_no_exit_has_the_qualifier_of_events(isa: str) -> None:
    assert all(number >> 32 != QUALIFIER for number in arches.isa(isa).reasons)


def test_a_filter_looks_at_the_argument() -> None:
    lines = tracepoints.function(3, READ).splitlines()
    assert lines[0] == "PROGRAM(on_event_3, void *ctx)"
    arg = "((struct raw_args *)ctx)->arg[0]"
    assert lines[2] == f"\tif ({arg} == 1 || {arg} == 2)"
    assert "\tif (1)" in tracepoints.function(0, FAST)


@pytest.fixture
def count_with(_on_cpu_0: None) -> Iterator[Callable[..., Collector]]:
    """Makes collectors of events on CPU 0, where this thread stays, and closes them."""
    made: list[Collector] = []

    def make(*counted: Event, wanted: ThreadFilter | None = None, **sizes: Any) -> Collector:
        machine = target()
        exits = ExitsByThread(wanted or ThreadFilter(), **sizes)
        made.append(Collector(machine, (Tracepoints(counted), exits)))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.mark.root
def test_events_are_counted_by_thread_and_only_those_that_are_meant(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with(READ, FAST)
    on_read, on_fast = (collector.loaded.programs[f"on_event_{n}"] for n in range(2))

    def work() -> None:
        for kind in (0, 1, 2, 2, 3):
            kernel.fire_here(on_read, kind)

    (other,) = in_threads(1, work)
    kernel.fire_here(on_fast, 5)
    kernel.fire_here(collector.loaded.programs["on_exit"], 0, 1)
    got = collector.sample()
    assert counts(got.events) == {READ.label: {(0, other): 3}, FAST.label: {(0, me()): 1}}
    assert counts(got.exits) == {("native", 1): {(0, me()): 1}}


@pytest.mark.root
def test_events_of_other_threads_are_left_alone(count_with: Callable[..., Collector]) -> None:
    collector = count_with(FAST, wanted=ThreadFilter(tids=frozenset({threading.get_native_id()})))
    on_event = collector.loaded.programs["on_event_0"]

    def work() -> None:
        kernel.fire_here(on_event, 0)

    in_threads(2, work)
    work()
    assert counts(collector.sample().events) == {FAST.label: {(0, me()): 1}}


@pytest.mark.root
def test_what_finds_no_room_loses_its_thread_and_nothing_else(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with(READ, FAST, table_size=4, more_threads=1)
    for exit_code in range(5):
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, exit_code)
    for _ in range(7):
        kernel.fire_here(collector.loaded.programs["on_event_1"], 0)
    got = collector.sample()
    assert counts(got.events) == {READ.label: {}, FAST.label: {(0, 0): 7}}
    assert sum(exits.count for at in got.exits.values() for exits in at.values()) == 5


@pytest.mark.root
def test_an_event_that_this_kernel_lacks_is_left_out_and_said(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with(NOT_HERE, FAST, TOO_FEW)
    assert dict(collector.loaded.absent) == {
        "on_event_0": "this kernel has no tracepoint kvm_of_another_planet",
        "on_event_2": "kvm_fast_mmio has 1 arguments here, not 8",
    }
    attached = set(collector.loaded.programs) - {"free_counters"}  # the reader runs it
    assert attached == {"on_exit", "on_event_1"}
    assert counts(collector.sample().events) == {FAST.label: {}}
