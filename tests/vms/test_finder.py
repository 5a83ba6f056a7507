"""Finding the processes that hold VMs: through debugfs, else among all processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from kstats.vms.finder import SEARCH_SECONDS, Finder
from kstats.vms.identity import Kind, Vm
from kstats.vms.registry import VmRegistry
from tests.vms.trees import QEMU_FDS, START, VM, Tree

FDS = {7: VM}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a host with processes that hold no VM."""
    made = Tree(tmp_path)
    made.process(1, "init", fds={0: "/dev/null"})
    made.process(50, "bash", "-c", "sleep 9")
    return made


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_to_find(tmp_path: Path) -> None:
    assert Finder(Tree(tmp_path).host).find() == {}


def test_debugfs_names_the_processes(tree: Tree) -> None:
    for pid in (100, 200, 300):
        tree.process(pid, fds=QEMU_FDS)
    tree.vm(100, 9)
    tree.vm(200, 9)
    tree.vm(200, 20)
    tree.write("sys/kernel/debug/kvm/exits", "0\n")
    found = Finder(tree.host).find()
    assert {pid: sorted(f.fd for f in folders) for pid, folders in found.items()} == {
        100: [9],
        200: [9, 20],
    }


def test_a_vms_folder_is_named_after_the_thread_that_created_it(tree: Tree) -> None:
    """Its process stays known after that thread has ended."""
    tree.process(100, fds=QEMU_FDS, threads={"107": "vmm"})
    tree.vm(107, 9)
    finder = Finder(tree.host)
    assert finder.find().keys() == {100}
    tree.end_thread(100, 107)
    assert finder.find().keys() == {100}


def test_a_vm_whose_maker_had_ended_is_found_by_its_descriptors(tree: Tree) -> None:
    tree.process(100, fds=QEMU_FDS)
    tree.process(200, fds=QEMU_FDS)
    tree.process(300, fds={1: "/dev/null"})
    tree.vm(107, 9)
    tree.vm(200, 9)
    found = Finder(tree.host).find()
    assert found.keys() == {100, 200}
    assert [len(found[pid]) for pid in (100, 200)] == [0, 1]
    assert VmRegistry(tree.host).vms().keys() == {
        Vm(100, START, Kind.OTHER, "vmm"),
        Vm(200, START, Kind.OTHER, "vmm", 9),
    }


def test_folders_change_with_vms_and_vcpus_only(tree: Tree, clock: Clock) -> None:
    tree.process(100, fds=QEMU_FDS)
    tree.process(200, fds=QEMU_FDS)
    tree.vm(100, 9, {0: 0})
    tree.vm(200, 9, {0: 0})
    finder = Finder(tree.host, clock)
    before = finder.find()
    clock.now += 100
    assert finder.find() == before
    tree.vm(100, 9, {1: 0})
    grown = finder.find()
    assert grown[100] != before[100]
    assert grown[200] == before[200]
    tree.vm(200, 20)
    assert finder.find()[200] != before[200]


def test_without_debugfs_all_processes_are_searched_again_and_again(
    tree: Tree, clock: Clock
) -> None:
    """A process that was searched may open a VM later, or close its VM."""
    tree.process(100, fds=QEMU_FDS)
    tree.process(300, fds={1: "/dev/null"})
    (tree.root / "proc/self").mkdir()
    finder = Finder(tree.host, clock)
    first = finder.find()
    assert first == {100: []}
    tree.link("proc/300/fd/9", VM)
    tree.process(200, fds=QEMU_FDS)
    clock.now += SEARCH_SECONDS - 1
    assert finder.find() == first
    clock.now += 1
    tree.remove("proc/100/fd")
    assert finder.find().keys() == {200, 300}


def test_unreadable_processes_are_counted(tree: Tree) -> None:
    tree.process(100, fds=QEMU_FDS)
    tree.process(200, fds=QEMU_FDS)
    closed = f"{tree.root}/proc/200/fd"
    finder = Finder(tree.host)
    with mock.patch("os.scandir", side_effect=_closing(closed)):
        for _ in range(2):
            assert finder.find().keys() == {100}
            assert finder.refused == 1
    tree.end(200)
    finder.find()
    assert finder.refused == 0


def test_a_process_that_may_not_be_looked_into_any_more_still_holds_its_vm(tree: Tree) -> None:
    """After the privileges for that were dropped."""
    tree.process(100, "some-vmm", fds=FDS)
    now = [0.0]
    finder = Finder(tree.host, clock=lambda: now[0])
    assert finder.find().keys() == {100}
    now[0] += SEARCH_SECONDS
    with mock.patch("os.readlink", side_effect=PermissionError):
        assert finder.find().keys() == {100}
        tree.end(100)
        assert not finder.find()


def _closing(closed: str) -> object:
    scandir = os.scandir

    def call(folder: str) -> Iterator[os.DirEntry[str]]:
        if folder == closed:
            raise PermissionError
        return scandir(folder)

    return call


def test_a_process_with_a_vms_descriptor_holds_a_vm(tree: Tree) -> None:
    tree.process(100, "some-vmm", fds=FDS)
    assert Finder(tree.host).find() == {100: []}
    assert VmRegistry(tree.host).vms() == {Vm(100, START, Kind.OTHER, "vmm"): []}


def test_without_privileges_a_vmm_with_a_vcpu_thread_holds_a_vm(tree: Tree) -> None:
    tree.process(100, "crosvm", "run", threads={"101": "crosvm_vcpu0"})
    tree.process(200, "pretender", threads={"201": "vcpu0"})
    assert Finder(tree.host).find().keys() == {100}


def test_a_vmm_that_waits_for_requests_is_found_once_it_has_a_vm(tree: Tree) -> None:
    tree.process(100, "firecracker", "--id", "m")
    finder = Finder(tree.host)
    assert finder.find() == {}
    assert finder.find() == {}
    tree.thread(100, 101, "fc_vcpu 0")
    assert finder.find() == {100: []}
    assert finder.find() == {100: []}


def test_a_new_process_is_searched_after_a_while(tree: Tree) -> None:
    """A new one may not have called exec yet, and most end before the next sample."""
    finder = Finder(tree.host)
    finder.find()
    tree.process(100, "some-vmm")
    tree.process(101, "cat")
    assert finder.find() == {}
    tree.end(101)
    tree.link("proc/100/fd/7", VM)
    assert finder.find().keys() == {100}


def test_a_new_process_with_a_reused_pid_is_searched_again(tree: Tree) -> None:
    tree.process(100, "firecracker")
    finder = Finder(tree.host)
    finder.find()
    tree.end(100)
    tree.process(100, "some-vmm", fds=FDS)
    finder.find()
    assert finder.find().keys() == {100}


def test_a_new_process_with_the_pid_of_a_vm_is_not_a_vm(tree: Tree) -> None:
    tree.process(100, "some-vmm", fds=FDS)
    finder = Finder(tree.host)
    assert finder.find().keys() == {100}
    tree.end(100)
    tree.process(100, "cat")
    assert finder.find() == {}


def test_vms_that_ended_are_not_listed_any_more(tree: Tree) -> None:
    tree.process(100, "crosvm", "run", threads={"101": "crosvm_vcpu0"}, fds=FDS)
    registry = VmRegistry(tree.host)
    assert len(registry.vms()) == 1
    tree.end(100)
    registry.refresh()
    assert registry.vms() == {}


def test_debugfs_that_is_mounted_later_identifies_vms(tree: Tree) -> None:
    tree.process(100, "crosvm", "run", threads={"101": "crosvm_vcpu0"}, fds=FDS)
    registry = VmRegistry(tree.host)
    assert [vm.fd for vm in registry.vms()] == [None]
    tree.vm(100, 7, {0: 101})
    registry.refresh()
    assert [vm.fd for vm in registry.vms()] == [7]
