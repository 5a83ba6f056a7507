"""Each process has its share of the hashes, in the kernel: others cannot take it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kstats.arch.details import Parts
from kstats.collector.details import Detail
from kstats.collector.latency import Latency
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.slow_exits import SlowExits
from kstats.collector.threads import ExitsByThread
from kstats.model import Sample
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.test_details import KIND

pytestmark = pytest.mark.root

# Code 1 carries its first argument.
TONES = """
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	if (code != 1)
		return NO_DETAIL;
	*detail = DETAIL(ACCESS_READ, 0, ((struct raw_args *)ctx)->arg[0]);
	return DECODED;
}
"""
SIZE = 100
FIFTH = SIZE // 5


class Process:
    """A process that runs BPF programs when it is asked to."""

    def __init__(self, work: Callable[[int], None]) -> None:
        """Do ``work`` in another process, with each number of :meth:`do`."""
        self._asked, self._ask = os.pipe()
        self._done, done = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._serve(work, done)
        os.close(done)
        os.close(self._asked)

    def _serve(self, work: Callable[[int], None], done: int) -> None:
        try:
            # Later processes hold this pipe, too: its end would not be seen.
            while (number := os.read(self._asked, 1)) > b"\0":
                work(number[0])
                os.write(done, number)
        finally:
            os._exit(0)

    def do(self, number: int) -> None:
        """Do the work, and return when it is done."""
        os.write(self._ask, bytes((number,)))
        assert os.read(self._done, 1) == bytes((number,)), "the process has failed"

    def end(self) -> None:
        """End; calling it again has no effect."""
        if self.pid:
            os.write(self._ask, b"\0")
            os.close(self._ask)
            os.close(self._done)
            os.waitpid(self.pid, 0)
            self.pid = 0


@pytest.fixture
def processes(_on_cpu_0: None) -> Iterator[Callable[[Callable[[int], None]], Process]]:
    """Return a function that starts processes, which end with the test."""
    made: list[Process] = []

    def make(work: Callable[[int], None]) -> Process:
        made.append(Process(work))
        return made[-1]

    yield make
    for process in made:
        process.end()


Make = Callable[[Callable[[int], None]], Process]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Count tones in small hashes."""
    file = tmp_path / "tones.c"
    file.write_text(TONES, encoding="utf-8")
    features = (
        Detail(KIND, file, SIZE),
        ExitsByThread(table_size=1, more_threads=SIZE),
        Latency(detail=KIND.name, latencies=SIZE),
        Entries(),
    )
    with Collector(target(), features) as made:
        yield made


def firing(collector: Collector, code: int | None = 1) -> Callable[[int], None]:
    """Return work: exits with so many tones, or with so many codes from 100 on."""
    on_exit = collector.loaded.programs["on_exit"]
    on_entry = collector.loaded.programs["on_entry"]

    def work(number: int) -> None:
        for n in range(1, number + 1):
            kernel.fire_here(on_exit, n, code or 100 + n)
            kernel.fire_here(on_entry)

    return work


def tones(sample: Sample, pid: int) -> Counter[int]:
    """Return the exits of a process by tone, those without one under -1."""
    found: Counter[int] = Counter()
    for place, exits in sample.exits.get(("native", 1), {}).items():
        if place.thread >> 32 == pid and exits.count:
            found[-1 if place.detail is None else Parts.of(place.detail).number] += exits.count
    return found


def exits_of(sample: Sample, pid: int) -> int:
    places = (at.items() for at in sample.exits.values())
    return sum(e.count for at in places for place, e in at if place.thread >> 32 == pid)


def test_a_process_cannot_take_the_details_of_others(collector: Collector, processes: Make) -> None:
    hostile, ordinary = processes(firing(collector)), processes(firing(collector))
    hostile.do(200)
    ordinary.do(15)
    sample = collector.sample()
    assert tones(sample, ordinary.pid) == Counter(range(1, 16))
    kept = Counter(range(1, FIFTH + 1)) | Counter({-1: 200 - FIFTH})
    assert tones(sample, hostile.pid) == kept


def test_a_process_cannot_take_the_counters_of_others(
    collector: Collector, processes: Make
) -> None:
    hostile = processes(firing(collector, None))
    ordinary = processes(firing(collector, None))
    hostile.do(200)
    ordinary.do(15)
    sample = collector.sample()
    assert exits_of(sample, ordinary.pid) == 15
    attributed = exits_of(sample, hostile.pid)
    assert FIFTH <= attributed <= FIFTH + 1  # the table has an entry, too
    assert exits_of(sample, 0) == 200 - attributed
    assert sample.vm_dropped == {hostile.pid: {"unattributed": 200 - attributed}}


def test_what_is_refused_is_counted_by_process(collector: Collector, processes: Make) -> None:
    hostile, other = processes(firing(collector)), processes(firing(collector))
    hostile.do(200)
    other.do(100)
    sample = collector.sample()
    for process in (hostile, other):
        refused = sample.vm_dropped[process.pid]
        assert refused["detail_dropped"] == tones(sample, process.pid)[-1] > 0
    refused_latencies = sum(n.get("latency_dropped", 0) for n in sample.vm_dropped.values())
    assert refused_latencies == sample.latency_dropped > 0
    assert collector.sample().vm_dropped == {}


def test_many_processes_leave_room_for_more(collector: Collector, processes: Make) -> None:
    """Each takes a fifth of what the others have left."""
    hostile = [processes(firing(collector)) for _ in range(8)]
    for process in hostile:
        process.do(100)
    last = processes(firing(collector))
    last.do(1)
    assert tones(collector.sample(), last.pid) == Counter([1])


def test_the_share_of_a_process_is_returned_when_it_has_ended(
    collector: Collector, processes: Make
) -> None:
    """As many processes as would fill the hash twice, one after the other."""
    for _ in range(10):
        process = processes(firing(collector))
        pid = process.pid
        process.do(FIFTH)
        assert tones(collector.sample(), pid) == Counter(range(1, FIFTH + 1))
        process.end()
        for _ in range(2):  # one finds that it has ended, the next deletes its entries
            assert exits_of(collector.sample(), pid) == 0
    for _ in range(2):
        collector.sample()
    shares = collector.loaded.maps["shares"].items()
    assert len(shares) <= 2  # everyone's, and the last one's
    assert len(collector.loaded.maps["details"].items()) <= FIFTH


@pytest.fixture
def slow(request: pytest.FixtureRequest) -> Iterator[Collector]:
    """Report every exit, as many a second of each process as the parameter says."""
    reports = SlowExits(1, rate=request.param, pages=2)
    with Collector(target(), (reports, Latency(), Entries(), ExitsByThread())) as made:
        yield made


def slow_of(sample: Sample, process: Process) -> int:
    return sum(exit_.place.thread >> 32 == process.pid for exit_ in sample.slow)


@pytest.mark.parametrize("slow", [10**6], indirect=True)
def test_a_process_cannot_take_the_room_of_others_for_slow_exits(
    slow: Collector, processes: Make
) -> None:
    """Two pages hold 170 records, of which one process may have a fifth."""
    hostile, ordinary = processes(firing(slow)), processes(firing(slow))
    for _ in range(2):  # the share comes back when the records are read
        hostile.do(200)
        ordinary.do(15)
        sample = slow.sample()
        assert slow_of(sample, hostile) == 170 // 5
        assert slow_of(sample, ordinary) == 15
        dropped = 200 - 170 // 5
        assert sample.slow_dropped == dropped
        assert sample.vm_dropped == {hostile.pid: {"slow_dropped": dropped}}


@pytest.mark.parametrize("slow", [1], indirect=True)
def test_the_rate_limit_of_slow_exits_is_per_process(slow: Collector, processes: Make) -> None:
    hostile, ordinary = processes(firing(slow)), processes(firing(slow))
    hostile.do(200)
    ordinary.do(1)
    sample = slow.sample()
    assert slow_of(sample, ordinary) == 1
    assert slow_of(sample, hostile) == 200 - sample.slow_dropped > 0
    assert sample.vm_dropped == {hostile.pid: {"slow_dropped": sample.slow_dropped}}


@pytest.mark.parametrize("slow", [1], indirect=True)
def test_slow_exits_are_reported_again_after_a_second(slow: Collector, processes: Make) -> None:
    process = processes(firing(slow))
    process.do(1)
    assert slow_of(slow.sample(), process) == 1
    while not slow_of(slow.sample(), process):
        process.do(1)
