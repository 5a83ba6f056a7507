"""vCPU times: the difference between two readings, and states after events fired by hand."""

from __future__ import annotations

import math
import multiprocessing
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from kstats.collector import vcpu_time
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.threads import ExitsByThread
from kstats.collector.vcpu_time import Reading, VcpuTimeRecord, VcpuTimes
from kstats.model import Sample, VcpuTime
from kstats.vms.identity import Kind, Thread, Vm
from tests import trees
from tests.collector import kernel
from tests.collector.native import target

ME = 7 << 32 | 8
SHORT = 0.02  # seconds
GUEST, KERNEL, VMM, HALTED, WAITING = range(5)


def snapshot(now: int, totals: tuple[int, ...] | None, first: int = 255) -> Reading:
    """The totals of one thread at a moment, or of none."""
    return Reading(now, {ME: totals} if totals else {}, {ME: first}, 0)


def between(before: Reading, now: Reading) -> VcpuTime | None:
    """Where the time of the thread went between two snapshots."""
    return vcpu_time.vcpu_time(before, now).get(ME)


def test_a_sample_is_the_difference() -> None:
    got = between(snapshot(100, (10, 20, 30, 40, 0)), snapshot(150, (20, 30, 40, 50, 10)))
    assert got == VcpuTime(10, 10, 10, 10, 10)


def test_a_thread_was_in_its_first_state_before_its_first_event() -> None:
    """It is followed from its first event on; what that ends has lasted since before we looked."""
    got = between(snapshot(1000, None), snapshot(1500, (1300, 200, 0, 0, 0), first=GUEST))
    assert got == VcpuTime(300, 200, 0, 0, 0)


def test_a_new_thread_has_no_time_before_its_first_entry() -> None:
    got = between(snapshot(1000, None), snapshot(1500, (300, 50, 0, 0, 0)))
    assert got == VcpuTime(300, 50, 0, 0, 0)


def test_what_seemed_halted_and_was_not_is_taken_back_from_what_it_was() -> None:
    got = between(snapshot(100, (0, 50, 0, 50, 0)), snapshot(200, (0, 155, 0, 45, 0)))
    assert got == VcpuTime(0, 100, 0, 0, 0)


def test_a_wrong_guess_is_taken_back_from_as_many_states_as_it_takes() -> None:
    got = between(snapshot(100, (0, 0, 0, 100, 0)), snapshot(200, (70, 60, 10, 50, 10)))
    assert got == VcpuTime(20, 60, 10, 0, 10)
    got = between(snapshot(100, (0, 0, 0, 100, 0)), snapshot(150, (50, 45, 20, 20, 15)))
    assert got == VcpuTime(0, 15, 20, 0, 15)


def test_a_thread_that_has_ended_has_no_time_any_more() -> None:
    totals = (10, 20, 30, 40, 0)
    assert between(snapshot(100, totals), snapshot(200, totals)) is None


def record(*, changed: int = 3, changing: int = 3) -> bytes:
    """A struct spent: a thread in the kernel since 900, of which it waited 20, ready since 950."""
    fields = (changed, *(1, 2, 3, 4, 5, 0, 0, 0), 900, 20, 950, 0, KERNEL, 0, GUEST, 0, changing)
    return struct.pack("=13Q4IQ", *fields)


def test_a_record_is_as_the_kernel_writes_it() -> None:
    got = VcpuTimeRecord.complete(record())
    assert got
    assert (tuple(got.ns), got.since, got.waited, got.ready) == (
        (1, 2, 3, 4, 5, 0, 0, 0),
        900,
        20,
        950,
    )
    assert (got.code, got.state, got.first) == (0, KERNEL, GUEST)


def test_half_a_change_is_no_record() -> None:
    assert VcpuTimeRecord.complete(record(changing=4)) is None


@pytest.fixture
def collector(_on_cpu_0: None) -> Iterator[Collector]:
    """Follows this process; its threads, and those it starts, are on CPU 0."""
    machine = target()
    with Collector(machine, (ExitsByThread(), Entries(), VcpuTimes())) as made:
        yield made


def fire(collector: Collector, function: str, *args: int) -> None:
    """An event of this thread."""
    kernel.fire_here(collector.loaded.programs[function], *args)


def me() -> int:
    """This thread as the kernel numbers it for BPF."""
    return os.getpid() << 32 | threading.get_native_id()


def mine(sample: Sample) -> VcpuTime:
    """Where this thread's time went."""
    assert sample.vcpu_time is not None
    return sample.vcpu_time[me()]


def seconds(spent: VcpuTime) -> dict[str, float]:
    """By state, in seconds."""
    return {name: ns / 1e9 for name, ns in attrs.asdict(spent).items()}


def assert_whole(sample: Sample) -> None:
    """Every moment of the sample is somewhere."""
    assert sum(seconds(mine(sample)).values()) == pytest.approx(sample.elapsed, rel=1e-6)


@pytest.mark.root
def test_every_state_has_its_time_and_together_it_is_all(collector: Collector) -> None:
    fire(collector, "on_entry")
    time.sleep(2 * SHORT)
    collector.sample()
    for function, args, lasts in (
        ("on_exit", (0, 1), 1),
        ("leave_kernel", (0, 0), 2),
        ("on_entry", (), 4),
    ):
        fire(collector, function, *args)
        time.sleep(lasts * SHORT)
    sample = collector.sample()
    found = seconds(mine(sample))
    assert_whole(sample)
    assert found["halted"] == 0
    assert found["kernel"] > SHORT * 0.9
    assert found["vmm"] > SHORT * 1.9
    assert found["guest"] > SHORT * 3.9


@pytest.mark.root
def test_a_halt_is_as_long_as_kvm_says(collector: Collector) -> None:
    fire(collector, "on_exit", 0, 1)
    time.sleep(SHORT)
    halt = int(SHORT * 1e9 / 2)
    fire(collector, "wake_up", halt, 1, 1)
    fire(collector, "on_entry")
    found = mine(collector.sample())
    assert found.waiting is not None
    # As long as KVM says, but for what it waited for its CPU in the end.
    assert halt - found.waiting <= found.halted <= halt


@pytest.mark.root
@pytest.mark.parametrize(
    ("function", "args", "state"),
    [("on_entry", (), "guest"), ("on_exit", (0, 1), "kernel"), ("leave_kernel", (0, 0), "vmm")],
)
def test_a_thread_can_spend_a_whole_sample_in_one_state(
    collector: Collector, function: str, args: tuple[int, ...], state: str
) -> None:
    fire(collector, function, *args)
    collector.sample()
    time.sleep(SHORT)
    sample = collector.sample()
    found = seconds(mine(sample))
    assert_whole(sample)
    assert found[state] + found["waiting"] == pytest.approx(sample.elapsed, rel=0.01, abs=1e-3)


@pytest.mark.root
def test_a_thread_whose_first_event_is_an_exit_was_in_its_guest(collector: Collector) -> None:
    time.sleep(SHORT)
    fire(collector, "on_exit", 0, 1)
    sample = collector.sample()
    assert_whole(sample)
    assert mine(sample).guest / 1e9 > SHORT * 0.9


@pytest.mark.root
def test_a_thread_that_ends_is_forgotten_once_it_was_told(collector: Collector) -> None:
    others: list[int] = []

    def run() -> None:
        others.append(me())
        fire(collector, "on_entry")
        time.sleep(SHORT)

    worker = threading.Thread(target=run)
    worker.start()
    worker.join()
    task = Path(f"/proc/self/task/{others[0] & 0xFFFF_FFFF}")
    while task.exists():  # the kernel needs a moment longer
        time.sleep(0.001)
    first = collector.sample().vcpu_time or {}
    time.sleep(SHORT)
    second = collector.sample().vcpu_time or {}
    assert first[others[0]].guest / 1e9 > SHORT * 0.5
    assert others[0] not in second


def _spin(stop: float) -> None:
    while time.monotonic() < stop:
        pass


def run_delay() -> int:
    """How long this thread has been ready and did not run: the scheduler's own figure, in ns."""
    return int(
        Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1]
    )


@pytest.mark.root
def test_waiting_is_what_the_scheduler_calls_run_delay(collector: Collector) -> None:
    competitor = multiprocessing.get_context("fork").Process(target=_spin, args=(math.inf,))
    competitor.start()
    fire(collector, "on_entry")
    outside = run_delay()
    collector.sample()
    inside = run_delay()
    _spin(time.monotonic() + 0.4)
    least = run_delay() - inside
    ours = mine(collector.sample()).waiting
    most = run_delay() - outside
    competitor.kill()
    competitor.join()
    assert ours is not None
    assert least > 0.05e9
    # On a busy machine the thread also waits between its own figure and the sample's.
    assert least * 0.9 <= ours <= most * 1.1


def test_sleepers_are_told_by_the_function_that_they_sleep_in(tmp_path: Path) -> None:
    where = {1: "kvm_vcpu_block", 2: "futex_wait_queue", 3: "folio_wait_bit", 4: "0"}
    files = {f"proc/7/task/{tid}/wchan": function for tid, function in where.items()}
    host = trees.recorded(tmp_path, files)
    vm = Vm(7, 1, Kind.QEMU, "web")
    threads = [Thread(tid, 7, tid, vm) for tid in (1, 2, 3, 4, 5)]
    assert vcpu_time.asleep(host, threads) == {7 << 32 | 1: True, 7 << 32 | 2: False}


@pytest.mark.parametrize(("state", "expected"), [("S", {7 << 32 | 1: False}), ("R", {})])
def test_where_the_kernel_tells_no_function_the_stack_does(
    tmp_path: Path, state: str, expected: dict[int, bool]
) -> None:
    """As Linux 5.10 has it."""
    files = {
        "proc/7/task/1/wchan": "0",
        "proc/7/task/1/stack": "[<0>] futex_wait_queue_me+0xb6/0x120\n[<0>] futex_wait+0xe9\n",
        "proc/7/task/1/stat": f"1 (CPU 0) KVM) {state} 113 113 113 0 -1 4194304\n",
    }
    threads = [Thread(1, 7, 0, Vm(7, 1, Kind.QEMU, "web"))]
    assert vcpu_time.asleep(trees.recorded(tmp_path, files), threads) == expected


@pytest.mark.root
@pytest.mark.parametrize(("halted", "state"), [(True, "kernel"), (False, "vmm")])
def test_who_sleeps_from_the_beginning_has_its_time_without_any_event(
    *, halted: bool, state: str
) -> None:
    machine = target()
    sleeper = 2**40 | 7
    features = (ExitsByThread(), Entries(), VcpuTimes(lambda: {sleeper: halted}))
    outside = time.monotonic()
    with Collector(machine, features) as collector:
        inside = time.monotonic()
        time.sleep(SHORT)
        least = time.monotonic() - inside
        sample = collector.sample()
    assert sample.vcpu_time is not None
    # The native ISA has no idle exits; otherwise this would be halted time.
    assert least <= seconds(sample.vcpu_time[sleeper])[state] <= time.monotonic() - outside
