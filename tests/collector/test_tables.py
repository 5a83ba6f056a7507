"""Counters of threads that ended are freed in the CPUs' tables, and no exit is counted wrongly."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from kstats.collector import prebuild
from kstats.collector.counters import Key
from kstats.collector.live import Collector
from kstats.collector.overhead import usage
from kstats.collector.reclaim import Freed
from kstats.collector.tables import FREED, Tables
from kstats.collector.threads import ExitsByThread
from kstats.loader.objects import name
from kstats.loader.syscall import run_program
from kstats.privileges import drop
from tests.collector import kernel
from tests.collector.native import NATIVE, target
from tests.collector.test_threads import exits_of, in_threads, me

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("_on_cpu_0")]

SIZE, HASH = 64, 4096
CODES = range(8)


FEATURES = (ExitsByThread(table_size=SIZE, more_threads=HASH),)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of prebuilt objects."""
    folder = tmp_path_factory.mktemp("objects")
    plan = target().plan(FEATURES)
    for probe in plan.probes:
        (folder / name(plan, probe)).write_bytes(prebuild.compile_object(plan, probe))
    return folder


@pytest.fixture
def collector(loader: str, objects: Path) -> Iterator[Collector]:
    """Count in tables of 64 entries."""
    machine = target(NATIVE._replace(objects=objects))
    with Collector(attrs.evolve(machine, loader=loader), FEATURES) as made:
        yield made


def fire(collector: Collector, codes: range = CODES) -> None:
    """Count an exit of this thread for each code."""
    for code in codes:
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)


def tables(collector: Collector, ended: Callable[[int], bool]) -> tuple[Tables, Freed[Key]]:
    """Return a reader of the tables that believes these threads to have ended."""
    freed: Freed[Key] = Freed()
    cpus = collector.target.host.possible_cpus()
    return Tables(collector.loaded, cpus, SIZE, freed.add, ended), freed


def totals(reader: Tables) -> dict[Key, int]:
    """Take a reading."""
    reader.read()
    found: Counter[Key] = Counter()
    for *key, n in zip(*reader.counters(), strict=True):
        thread, code, cpu = key
        found[thread, code, cpu] += n
    return {key: n for key, n in found.items() if key[0]}


def test_threads_come_and_go_without_leaving_the_tables(collector: Collector) -> None:
    """Twenty times as many counters as a table has: each is exact, and few are in the hash."""
    for _ in range(20 * SIZE // len(CODES)):
        (thread,) = in_threads(1, lambda: fire(collector))
        assert exits_of(collector) == {code: Counter({(0, thread): 1}) for code in CODES}
        assert usage(collector.loaded, os.cpu_count() or 1)["threads"].used <= SIZE // 2
    assert len(collector.loaded.maps["more_threads"].items()) <= len(CODES)


def test_a_thread_in_the_hash_returns_to_the_table(collector: Collector) -> None:
    """Its counters are then in both; the sum is exact."""
    in_threads(4 * SIZE // len(CODES), lambda: fire(collector))
    fire(collector)
    in_hash = len(collector.loaded.maps["more_threads"].items())
    assert in_hash > 0
    for _ in range(3):
        collector.sample()
    for _ in range(5):
        fire(collector)
        assert exits_of(collector) == {code: Counter({(0, me()): 1}) for code in CODES}
    assert len(collector.loaded.maps["more_threads"].items()) == in_hash


def test_more_counters_are_freed_than_at_once(collector: Collector) -> None:
    in_threads(4 * SIZE // len(CODES), lambda: fire(collector))
    reader, freed = tables(collector, lambda _: True)
    before = totals(reader)
    assert FREED // 2 < len(before) <= FREED
    reader.reclaim()
    reader.reclaim()
    assert totals(reader) == {}
    assert freed.complete({}) == before


def test_a_counter_that_has_grown_is_kept(collector: Collector) -> None:
    """The number of a thread that has ended may be in use again."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        fire(collector, range(32))
        done.set()
        go.wait()
        fire(collector, range(16))

    thread = threading.Thread(target=work)
    thread.start()
    done.wait()
    reader, freed = tables(collector, lambda _: True)
    totals(reader)
    reader.reclaim()
    before = totals(reader)
    assert len(before) == 32
    go.set()
    thread.join()
    reader.reclaim()
    assert {code: n for (_, code, _), n in totals(reader).items()} == dict.fromkeys(range(16), 2)
    assert freed.complete({}) == {key: 1 for key in before if key[1] >= 16}


def test_the_counters_of_the_current_thread_are_kept(collector: Collector) -> None:
    """It may be counting an exit, which the reader has interrupted."""
    fire(collector, range(32))
    reader, freed = tables(collector, lambda _: True)
    before = totals(reader)
    reader.reclaim()
    reader.reclaim()
    assert totals(reader) == before
    assert freed.complete({}) == {}


def home(thread: int, code: int) -> int:
    """Return the entry where a counter is looked for first."""
    return ((thread * 0x9E3779B97F4A7C15 % 2**64 >> 48) + code) % SIZE


def test_a_freed_entry_before_a_counter_makes_another_one(collector: Collector) -> None:
    """Two counters of one thread and code are one to the reader."""
    (other,) = in_threads(1, lambda: fire(collector, range(SIZE - 1)))
    free = home(other, SIZE - 1)
    code = (free - 2 - home(me(), 0)) % SIZE
    fire(collector, range(code, code + 1))
    reader, _ = tables(collector, other.__eq__)
    key = me(), code, 0
    assert totals(reader)[key] == 1
    reader.reclaim()
    reader.reclaim()
    fire(collector, range(code, code + 1))
    assert usage(collector.loaded, os.cpu_count() or 1)["threads"].used == 2
    assert totals(reader) == {key: 2}


def test_the_table_of_a_cpu_that_is_offline_is_left_alone(collector: Collector) -> None:
    """To the kernel, a CPU that does not exist is offline."""
    assert not run_program(collector.loaded.programs["free_counters"], 1 << 20)
    assert run_program(collector.loaded.programs["free_counters"], 0)


def test_freeing_takes_no_more_privileges_than_reading(collector: Collector) -> None:
    pid = os.fork()
    if not pid:
        try:
            drop(collector.needs())
            os._exit(not run_program(collector.loaded.programs["free_counters"], 0))
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
