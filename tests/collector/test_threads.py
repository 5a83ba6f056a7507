"""Exits by thread: the difference between two readings, and full tables in the kernel."""

from __future__ import annotations

import os
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from bench import filled
from kstats.collector.live import Collector
from kstats.collector.percpu import Counts, Words
from kstats.collector.threads import TABLE_SIZE, ExitsByThread, table_size
from kstats.filters import ThreadFilter
from kstats.loader import c_text
from kstats.model import Sample
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.readings import HER, LAYOUT, ME, between, nothing, totals
from tests.samples import counts

COUNTING = ExitsByThread()


def sample(
    before: Mapping[tuple[int, int, int], int], now: Mapping[tuple[int, int, int], int]
) -> Sample:
    """What is counted between two sets of totals by (thread, code, cpu)."""
    return between((COUNTING, totals(before), totals(now)))


def test_a_sample_is_the_difference_by_thread_cpu_and_code() -> None:
    before = {(ME, 1, 0): 5, (ME, 1, 1): 2}
    now = {(ME, 1, 0): 8, (ME, 1, 1): 2, (HER, 1, 0): 1, (ME, 99, 1): 4}
    assert counts(sample(before, now).exits) == {
        ("native", 1): {(0, ME): 3, (0, HER): 1},
        ("native", 99): {(1, ME): 4},
    }
    assert counts(sample(now, now).exits) == {}


def test_unattributed_exits_are_listed_beside_the_others() -> None:
    words = [0, 0, 0, 0, 6] + [0] * 5  # CPU 0 counted code 1 without its thread
    columns = Words(LAYOUT).columns(array("Q", words).tobytes())
    now = nothing()._replace(columns=columns)
    got = between((COUNTING, {}, totals({(ME, 1, 0): 2})), (Counts(LAYOUT), nothing(), now))
    assert counts(got.exits) == {("native", 1): {(0, 0): 6, (0, ME): 2}}


@pytest.mark.parametrize(
    ("wanted", "condition"),
    [
        (ThreadFilter(), "1"),
        (ThreadFilter(frozenset({7})), "((u32)(thread >> 32) == 7u)"),
        (ThreadFilter(tids=frozenset({9, 8})), "((u32)thread == 8u || (u32)thread == 9u)"),
        (
            ThreadFilter(frozenset({7}), frozenset({8})),
            "((u32)(thread >> 32) == 7u) && ((u32)thread == 8u)",
        ),
    ],
)
def test_the_kernel_selects_by_process_and_thread(wanted: ThreadFilter, condition: str) -> None:
    assert f"return {condition};" in c_text.is_wanted(wanted.pids, wanted.tids)


@pytest.mark.parametrize("more", [ThreadFilter(vcpu=0), ThreadFilter(vm="web")])
def test_the_kernel_cannot_select_by_vm_or_vcpu(more: ThreadFilter) -> None:
    with pytest.raises(ValueError, match="selects by more"):
        target().plan((ExitsByThread(more),))


def exits_of(collector: Collector) -> dict[int, Counter[tuple[int, ...]]]:
    """Return the exits of a sample by code, then by (cpu, thread)."""
    return {code: Counter(at) for (_, code), at in counts(collector.sample().exits).items()}


def me() -> int:
    """The calling thread as the kernel numbers it for BPF."""
    return os.getpid() << 32 | threading.get_native_id()


def in_threads(count: int, work: Callable[[], None]) -> list[int]:
    """Does ``work`` in so many threads at the same time; their numbers."""
    numbers: list[int] = []
    together = threading.Barrier(count)

    def run() -> None:
        numbers.append(me())
        together.wait(10)  # so that no number is used twice
        work()

    workers = [threading.Thread(target=run) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return numbers


@pytest.fixture
def count_with(_on_cpu_0: None) -> Iterator[Callable[..., Collector]]:
    """Makes collectors, and closes them at the end."""
    made: list[Collector] = []

    def make(wanted: ThreadFilter | None = None, **sizes: Any) -> Collector:
        machine = target()
        made.append(Collector(machine, (ExitsByThread(wanted or ThreadFilter(), **sizes),)))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.mark.root
def test_exits_belong_to_the_thread_that_fired_them(count_with: Callable[..., Collector]) -> None:
    collector = count_with()
    on_exit = collector.loaded.programs["on_exit"]

    def work() -> None:
        for code in (1, 1, 99):
            kernel.fire_here(on_exit, 0, code)

    others = in_threads(3, work)
    kernel.fire_here(on_exit, 0, 1)
    assert exits_of(collector) == {
        1: Counter({(0, me()): 1} | {(0, other): 2 for other in others}),
        99: Counter({(0, other): 1 for other in others}),
    }


@pytest.mark.root
def test_only_wanted_threads_are_counted(count_with: Callable[..., Collector]) -> None:
    by_pid = count_with(ThreadFilter(pids=frozenset({os.getpid()})))
    by_tid = count_with(ThreadFilter(tids=frozenset({threading.get_native_id()})))
    no_thread = count_with(ThreadFilter(pids=frozenset({1})))
    collectors = (by_pid, by_tid, no_thread)

    def work() -> None:
        for collector in collectors:
            kernel.fire_here(collector.loaded.programs["on_exit"], 0, 1)

    (other,) = in_threads(1, work)
    work()
    assert exits_of(by_pid) == {1: Counter({(0, me()): 1, (0, other): 1})}
    assert exits_of(by_tid) == {1: Counter({(0, me()): 1})}
    assert exits_of(no_thread) == {}


@pytest.mark.root
def test_codes_that_do_not_fit_in_a_cpus_table_keep_their_thread(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with(table_size=16)
    codes = range(1000)
    for code in codes:
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
    assert exits_of(collector) == {code: Counter({(0, me()): 1}) for code in codes}


@pytest.mark.root
def test_exits_that_fit_nowhere_lose_only_their_thread(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with(table_size=16, more_threads=8)
    for code in range(500):
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
    exits = exits_of(collector)
    assert {code: at.total() for code, at in exits.items()} == dict.fromkeys(range(500), 1)
    mine = sum(1 for at in exits.values() if (0, me()) in at)
    assert 8 < mine <= 16 + 8
    assert all(set(at) <= {(0, me()), (0, 0)} for at in exits.values())


@pytest.mark.root
def test_a_threads_counters_are_its_cpus(count_with: Callable[..., Collector]) -> None:
    collector = count_with()
    cpus = collector.target.host.online_cpus()
    for cpu in cpus:
        os.sched_setaffinity(0, {cpu})
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, 1)
    assert exits_of(collector) == {1: Counter({(cpu, me()): 1 for cpu in cpus})}


@pytest.mark.parametrize(
    ("entries", "size"), [(1, 1), (2, 2), (8, 8), (1000, 512), (1 << 22, TABLE_SIZE)]
)
def test_a_table_has_no_more_places_than_wanted_and_can_be_indexed_by_a_mask(
    entries: int, size: int
) -> None:
    assert table_size(entries) == size
    assert size & (size - 1) == 0


@pytest.mark.root
def test_the_smallest_map_still_loads_and_counts(count_with: Callable[..., Collector]) -> None:
    collector = count_with(table_size=table_size(1), more_threads=1)
    for code in range(3):
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
    assert exits_of(collector) == {
        0: Counter({(0, me()): 1}),
        1: Counter({(0, me()): 1}),
        2: Counter({(0, 0): 1}),
    }


@pytest.mark.root
def test_a_map_of_a_hundred_thousand_counters_is_summed_and_shown_at_once() -> None:
    """32 vCPUs on 640 CPUs, which took bcc's kvmexit minutes."""
    figures = filled.figures()
    steps = ("reading them from the kernel", "difference of two readings", "kvmexit")
    assert sum(figures[step] for step in steps) < 1000
