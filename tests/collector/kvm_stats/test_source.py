"""Samples of KVM's counters, whatever VMs do between two readings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kstats import arch as arches
from kstats.collector.kvm_stats.source import KernelCounters
from kstats.collector.target import Target
from kstats.errors import PrivilegeError
from kstats.model import Sample
from kstats.vms.identity import Vcpu
from tests import trees
from tests.collector.kvm_stats.blobs import Made, blob
from tests.collector.kvm_stats.test_reader import QEMU, SILENT, Vmm, World, world
from tests.vms.trees import START, VM, stats, vcpu

__all__ = ["world"]

ONE, TWO = Vcpu(100, 0, START, 11), Vcpu(100, 1, START, 13)


@pytest.fixture
def counters(world: World) -> Iterator[KernelCounters]:
    with reading(world) as made:
        yield made


def reading(world: World, *pids: int) -> KernelCounters:
    """Read the counters of this world, as an Intel host of two CPUs."""
    trees.recorded(Path(world.host.root), trees.cpus("0-1") | trees.modules(["kvm_intel"]))
    x64 = arches.find("x64")
    return KernelCounters(Target(world.host, x64, x64.sources[0], ()), pids, world.reader())


def count(vmm: Vmm, fd: int, **counted: int) -> None:
    """Set the counters behind a descriptor of a VMM."""
    data = blob(*(Made(name, [n]) for name, n in counted.items()))
    os.pwrite(vmm.files[fd], data, 0)


def grown(sample: Sample) -> dict[Vcpu, dict[str, int]]:
    assert sample.counters is not None
    return {vcpu: dict(counters) for vcpu, counters in sample.counters.items()}


def test_counts_from_before_are_left_out(world: World) -> None:
    vmm = world.start(100, QEMU, Made("exits", [5000]))
    with reading(world) as counters:
        assert grown(counters.sample()) == {ONE: {"exits": 0}, TWO: {"exits": 0}}
        count(vmm, 11, exits=5003)
        sample = counters.sample()
        assert grown(sample) == {ONE: {"exits": 3}, TWO: {"exits": 0}}
        assert grown(counters.sample()) == {ONE: {"exits": 0}, TWO: {"exits": 0}}
    assert (sample.arch, sample.isa, sample.cpus, sample.notes) == ("x64", "vmx", (0, 1), ())
    assert (sample.exits, sample.events, sample.entries) == ({}, {}, {})


def test_a_new_vm_is_counted_from_its_beginning(world: World, counters: KernelCounters) -> None:
    assert grown(counters.sample()) == {}
    world.start(100, QEMU, Made("exits", [7]))
    assert grown(counters.sample()) == {ONE: {"exits": 7}, TWO: {"exits": 7}}


def test_the_last_counts_of_a_vm_that_ended_are_unknown(
    world: World, counters: KernelCounters
) -> None:
    world.start(100, QEMU)
    counters.sample()
    world.end(100)
    gone = counters.sample()
    assert grown(gone) == {}
    assert gone.notes == ("process 100 ended: its counts since the last report are unknown",)
    assert counters.sample().notes == ()


def test_a_descriptor_of_another_vm_starts_at_zero(world: World, counters: KernelCounters) -> None:
    """The VMM created another VM, which got the same number."""
    vmm = world.start(100, {9: VM, 10: vcpu(0), 11: stats(0)}, Made("exits", [500]))
    counters.sample()
    count(vmm, 11, exits=20)
    assert grown(counters.sample()) == {ONE: {"exits": 20}}


def test_a_vmm_without_statistics_is_noted_once(world: World, counters: KernelCounters) -> None:
    world.start(100, SILENT)
    first, second = counters.sample(), counters.sample()
    assert (
        grown(first)
        == grown(second)
        == {
            Vcpu(100, 0, START, 10): {},
            Vcpu(100, 1, START, 11): {},
        }
    )
    assert [note.partition(" (")[0] for note in first.notes] == [
        "process 100: KVM's counters cannot be read: the VMM opened no statistics"
    ]
    assert second.notes == ()


def test_counters_opened_late_are_counted_from_there(
    world: World, counters: KernelCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmm = world.start(100, {9: VM, 10: vcpu(0)})
    counters.sample()
    Path(world.host.root, "proc/100/fd/11").symlink_to(stats(0))
    vmm.links[11], vmm.files[11] = stats(0), world.file(blob(Made("exits", [900])))
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    assert grown(counters.sample()) == {ONE: {}}
    count(vmm, 11, exits=909)
    assert grown(counters.sample()) == {ONE: {"exits": 9}}


def test_without_the_right_to_look_into_processes_there_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(world.host.root, "proc/100").mkdir()
    monkeypatch.setattr("kstats.vms.proc.Proc.descriptors", refused)
    with pytest.raises(PrivilegeError) as caught:
        reading(world)
    assert caught.value.hint.startswith("run as root")


def refused(*_: object) -> Iterator[tuple[int, str]]:
    raise PermissionError


def test_only_the_wanted_processes_are_shown(world: World) -> None:
    world.start(100, QEMU)
    world.start(200, QEMU)
    world.start(300, SILENT)
    with reading(world, 200) as counters:
        assert {vcpu.pid for vcpu in grown(counters.sample())} == {200}
        world.end(100)
        assert counters.sample().notes == ()


def test_the_description(world: World) -> None:
    world.start(100, QEMU)
    with reading(world) as counters:
        assert list(counters.description()) == [
            "vmx counters of 2 vCPUs through their VMMs' descriptors"
        ]
