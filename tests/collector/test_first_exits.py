"""First exits: who a thread is, although it has ended when a sample is taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from kstats.collector import prebuild
from kstats.collector.first_exits import REPORTED_THREADS
from kstats.collector.live import Collector
from kstats.collector.target import Target
from kstats.collector.threads import ExitsByThread
from kstats.filters import ThreadFilter
from kstats.host import Host
from kstats.loader import objects
from kstats.loader.process import LOADERS
from kstats.loader.records import COUNT
from kstats.vms.identity import Arrival, Kind
from kstats.vms.proc import Proc
from kstats.vms.registry import VmRegistry
from tests.collector import kernel
from tests.collector.native import BTF, NATIVE, target
from tests.samples import counts

pytestmark = pytest.mark.root

EVERYONE = ThreadFilter()
ALONE = ThreadFilter(pids=frozenset({os.getpid()}))
"""This process need not leave any entries to others."""


class Registry(VmRegistry):
    """Notes which threads were met."""

    def __init__(self) -> None:
        self.met: list[Arrival] = []
        self.any = threading.Event()
        super().__init__(Host())

    def meet(self, arrivals: Iterable[Arrival]) -> None:
        """Same as that of the class."""
        arrivals = list(arrivals)
        super().meet(arrivals)
        self.met += arrivals
        if arrivals:
            self.any.set()


def counting(
    registry: VmRegistry, machine: Target | None = None, wanted: ThreadFilter = EVERYONE
) -> Collector:
    """Count by thread; exits are made by hand."""
    return Collector(machine or target(), (ExitsByThread(wanted),), registry)


def built(folder: Path) -> Target:
    """Return this machine with prebuilt objects in ``folder``."""
    machine = target(NATIVE._replace(objects=folder))
    plan = machine.plan((ExitsByThread(),))
    for probe in plan.probes:
        (folder / objects.name(plan, probe)).write_bytes(prebuild.compile_object(plan, probe))
    return machine


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """Return a cgroup as systemd makes it for a VM of libvirt."""
    mounts = map(str.split, Path("/proc/mounts").read_text(encoding="utf-8").splitlines())
    top = next((Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2"), None)
    if not top:
        pytest.skip("no cgroup2 file system is mounted")
    scope = top / rf"machine-qemu\x2d7\x2dkstats\x2d{os.getpid()}.scope"
    made = scope / "libvirt"
    made.mkdir(parents=True)
    try:
        yield made
    finally:
        made.rmdir()
        scope.rmdir()


@contextmanager
def process(collector: Collector, name: str, cgroup: Path | None = None) -> Iterator[int]:
    """Run a process of that name that has an exit; it ends when the block does."""
    on_exit = collector.loaded.programs["on_exit"]
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(write)
        Path("/proc/self/comm").write_text(name, encoding="ascii")
        if cgroup:
            (cgroup / "cgroup.procs").write_text("0", encoding="ascii")
        kernel.fire_here(on_exit, 0, 1)
        os.read(read, 1)  # until the parent closes its end
        os._exit(0)
    os.close(read)
    try:
        yield pid
    finally:
        os.close(write)
        os.waitpid(pid, 0)


def me() -> int:
    """The calling thread as the kernel numbers it for BPF."""
    return os.getpid() << 32 | threading.get_native_id()


def test_a_process_is_looked_up_as_soon_as_it_has_an_exit() -> None:
    """No sample is taken meanwhile."""
    registry = Registry()
    with counting(registry) as collector:
        collector.follow()
        with process(collector, "qemu-kvm") as pid:
            assert registry.any.wait(300)
            found = registry.thread(pid, pid).vm
        thread = collector.sample().threads[pid << 32 | pid]
    assert (thread.vm, found.start is not None) == (found, True)
    assert registry.has_ended(pid, pid)
    assert not any(t.name == "first exits" for t in threading.enumerate())


@pytest.mark.parametrize("loader", LOADERS)
def test_if_that_is_too_late_the_kernels_report_remains(loader: str, tmp_path: Path) -> None:
    machine = attrs.evolve(built(tmp_path), loader=loader)
    with counting(Registry(), machine) as collector:
        with process(collector, "short-lived") as pid:
            start = Proc(Path("/")).start(pid)
        sample = collector.sample()
    thread = sample.threads[pid << 32 | pid]
    assert (thread.vm.name, thread.vcpu) == ("short-lived", None)
    assert thread.vm.start == (start if BTF.exists() else None)
    assert sample.ended == {pid << 32 | pid}
    assert sample.names_dropped == 0


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.skipif(not BTF.exists(), reason="the kernel has no BTF")
def test_the_kernels_report_contains_the_cgroup(loader: str, tmp_path: Path, cgroup: Path) -> None:
    machine = attrs.evolve(built(tmp_path), loader=loader)
    with counting(Registry(), machine) as collector:
        with process(collector, "short-lived", cgroup) as pid:
            pass
        vm = collector.sample().threads[pid << 32 | pid].vm
    assert (vm.kind, vm.name, vm.vmid) == (Kind.LIBVIRT, f"kstats-{os.getpid()}", 7)


def test_a_thread_is_reported_once_until_it_has_ended() -> None:
    registry = Registry()
    with counting(registry) as collector:
        reported = collector.loaded.maps["reported_threads"]
        for code in range(2000):  # more than a CPU's table has room for
            kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
        with process(collector, "ended") as pid:
            pass
        collector.sample()
        assert reported.read(COUNT.pack(me())) is not None
        assert reported.read(COUNT.pack(pid << 32 | pid)) is None
    assert [arrival.pid for arrival in registry.met] == [os.getpid(), pid]


def test_threads_that_do_not_fit_in_the_table_are_counted_and_reported_as_dropped() -> None:
    with counting(VmRegistry(Host())) as collector:
        keys = b"".join(map(COUNT.pack, range(1, REPORTED_THREADS + 1)))
        kernel.fill(collector.loaded.maps["reported_threads"], keys, keys)
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, 1)
        sample = collector.sample()
        again = collector.sample()
    assert (sample.names_dropped, again.names_dropped) == (1, 0)
    ((place, n),) = counts(sample.exits)["native", 1].items()
    assert (place[1], n) == (me(), 1)


def test_a_thread_that_does_not_fit_in_the_ring_buffer_is_reported_later() -> None:
    registry = Registry()
    tries = REPORTED_THREADS + 10
    with counting(registry, wanted=ALONE) as collector:
        reported = collector.loaded.maps["reported_threads"]
        for code in range(tries):
            reported.delete(COUNT.pack(me()))
            kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
        assert reported.read(COUNT.pack(me())) is None
        dropped = collector.sample().names_dropped
        assert (dropped > 0, len(registry.met) + dropped) == (True, tries)
        kernel.fire_here(collector.loaded.programs["on_exit"], 0, tries)
        assert collector.sample().names_dropped == 0
    assert len(registry.met) + dropped == tries + 1
