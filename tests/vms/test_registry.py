"""Who is who from sample to sample: the born, the idle, the dead, and numbers used again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from kstats.vms.identity import Kind, Thread, Vm
from kstats.vms.proc import Proc
from kstats.vms.registry import ForeignPidsError, VmRegistry
from tests.vms.trees import START, Tree

KVM = "sys/kernel/debug/kvm"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A host with one VM, web: process 100, vCPU 0 in thread 110 and vCPU 1 in 111."""
    made = Tree(tmp_path)
    made.process(100, "qemu-kvm", "-name", "web", threads={"110": "CPU 0/KVM", "111": "CPU 1/KVM"})
    made.vm(100, 9, {0: 110, 1: 111})
    return made


def vm(name: str = "web", *, pid: int = 100, start: int = START, fd: int | None = 9) -> Vm:
    return Vm(pid, start, Kind.QEMU, name, fd)


def vcpus(directory: VmRegistry) -> dict[str, dict[int | None, int]]:
    """The thread of each vCPU of each VM."""
    listed = {}
    for vm, threads in directory.vms().items():
        listed[vm.name] = {thread.vcpu: thread.tid for thread in threads}
        assert len(listed[vm.name]) == len(threads), "a vCPU is listed once"
    return listed


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Counts the files opened, folders listed and paths looked up."""
    counts: Counter[str] = Counter()
    with (
        mock.patch("os.open", side_effect=_counted(counts, "open", os.open)),
        mock.patch("os.scandir", side_effect=_counted(counts, "list", os.scandir)),
        mock.patch("os.stat", side_effect=_counted(counts, "stat", os.stat)),
    ):
        yield counts


def _counted(counts: Counter[str], name: str, call: object) -> object:
    def counted(*args: object, **options: object) -> object:
        counts[name] += 1
        assert callable(call)
        return call(*args, **options)

    return counted


def test_in_a_pid_namespace_nobody_is_taken_for_somebody_else(tree: Tree) -> None:
    tree.link("proc/1/ns/pid", "pid:[4026532201]")
    with pytest.raises(ForeignPidsError, match="PID namespace"):
        VmRegistry(tree.host)


def test_an_idle_vcpu_is_listed_before_anybody_asks(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    assert directory.vms() == {vm(): [Thread(110, 100, 0, vm()), Thread(111, 100, 1, vm())]}
    assert directory.thread(100, 111) == Thread(111, 100, 1, vm())


def test_who_ran_a_vcpu_until_it_ended_is_known_but_has_ended(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    assert not directory.has_ended(100, 111)
    tree.end(100)
    directory.refresh()
    assert directory.thread(100, 111).vcpu == 1
    assert directory.has_ended(100, 111)


def test_a_host_without_vms_or_without_anything_has_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert VmRegistry(tree.host).vms() == {}
    tree.process(1, "init")
    (tmp_path / KVM).mkdir(parents=True)
    assert VmRegistry(tree.host).vms() == {}


def test_a_known_vm_costs_two_stats_and_its_threads_nothing(tree: Tree) -> None:
    for tid in range(112, 150):
        tree.thread(100, tid, f"CPU {tid - 110}/KVM")
    directory = VmRegistry(tree.host)
    directory.refresh()
    with calls() as counts:
        directory.refresh()
    # The folder of all VMs is looked at and listed, the VM's and its process's are looked at.
    assert counts == {"stat": 3, "list": 1}
    with calls() as counts:
        assert [directory.thread(100, tid).vcpu for tid in range(110, 150)] == list(range(40))
        directory.vms()
    assert not counts


def test_vms_and_vcpus_that_come_are_found(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    tree.process(200, "qemu-kvm", "-name", "db", threads={"210": "CPU 0/KVM"})
    tree.vm(200, 9, {0: 210})
    tree.thread(100, 112, "CPU 2/KVM")
    tree.write(f"{KVM}/100-9/vcpu2/pid", "112\n")
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110, 1: 111, 2: 112}, "db": {0: 210}}


def test_a_vcpu_is_known_once_it_has_run(tree: Tree) -> None:
    """Before that its thread is nobody's: the kernel says 0."""
    tree.thread(100, 112, "qemu-kvm")
    file = tree.write(f"{KVM}/100-9/vcpu2/pid", "0\n")
    directory = VmRegistry(tree.host)
    for _ in range(3):
        assert vcpus(directory) == {"web": {0: 110, 1: 111}}
        directory.refresh()
    file.write_text("112\n", encoding="utf-8")
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110, 1: 111, 2: 112}}


def test_a_vm_whose_maker_has_ended_is_found_by_its_vcpus_once_they_run(tmp_path: Path) -> None:
    """The folder has the number of the thread that made the VM, and that thread is gone."""
    tree = Tree(tmp_path)
    tree.process(100, "some-vmm", threads={"110": "x"})
    tree.vm(105, 9, {0: 0})
    directory = VmRegistry(tree.host)
    assert directory.vms() == {}
    (tree.root / KVM / "105-9/vcpu0/pid").write_text("110\n", encoding="utf-8")
    directory.refresh()
    assert vcpus(directory) == {"vmm": {0: 110}}


def test_the_dead_are_known_for_their_last_counts(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    tree.end(100)
    last = Thread(111, 100, 1, vm())
    directory.refresh()  # counts until the first, which sees the death
    assert directory.vms() == {}
    assert directory.thread(100, 111) == last
    directory.refresh()  # counts between the last snapshot and the death
    assert directory.thread(100, 111) == last
    directory.refresh()
    assert directory.thread(100, 111) == Thread(111, 100, None, Vm(100, None, Kind.OTHER, ""))


def test_a_vcpu_that_is_taken_out_is_known_for_its_last_counts(tree: Tree) -> None:
    """Its thread ends, and the kernel goes on telling its number."""
    directory = VmRegistry(tree.host)
    tree.end_thread(100, 111)
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110}}
    assert directory.thread(100, 111).vcpu == 1


def test_a_vcpu_that_is_put_back_has_another_thread(tree: Tree) -> None:
    """QEMU keeps the vCPU's descriptor, so the VM's folder does not change."""
    directory = VmRegistry(tree.host)
    tree.end_thread(100, 111)
    directory.refresh()
    tree.thread(100, 125, "qemu-kvm")
    (tree.root / KVM / "100-9/vcpu1/pid").write_text("125\n", encoding="utf-8")
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110, 1: 125}}


def test_a_number_used_again_is_another_vm(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    tree.end(100)
    tree.process(100, "qemu-kvm", "-name", "db", start=9999, threads={"110": "CPU 3/KVM"})
    tree.vm(100, 9, {3: 110})
    directory.refresh()
    new = vm("db", start=9999)
    assert directory.vms() == {new: [Thread(110, 100, 3, new)]}
    assert directory.thread(100, 110) == Thread(110, 100, 3, new)
    assert directory.thread(100, 111) == Thread(111, 100, 1, vm()), "the old one's last counts"


def test_a_thread_number_used_again_in_the_same_process(tree: Tree) -> None:
    tree.remove("sys")
    directory = VmRegistry(tree.host)
    tree.end_thread(100, 111)
    tree.thread(100, 111, "worker")
    tree.thread(100, 112, "CPU 1/KVM")
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110, 1: 112}}


def test_a_number_of_a_thread_that_counted_used_again(tree: Tree) -> None:
    tree.thread(100, 120, "qemu-kvm")
    directory = VmRegistry(tree.host)
    assert directory.thread(100, 120).vcpu is None
    tree.end_thread(100, 120)
    tree.thread(100, 120, "worker")
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110, 1: 111}}


def test_a_thread_that_came_when_another_went_is_known_once_it_counts(tree: Tree) -> None:
    """In procfs, only the number of threads can be seen without a list of them."""
    with mock.patch.object(Proc, "stamp", return_value=(1, 1, 1)):
        directory = VmRegistry(tree.host)
        directory.refresh()
        tree.end_thread(100, 111)
        tree.thread(100, 125, "qemu-kvm")
        (tree.root / KVM / "100-9/vcpu1/pid").write_text("125\n", encoding="utf-8")
        directory.refresh()
        assert directory.thread(100, 125).vcpu is None
        directory.refresh()
        assert directory.thread(100, 125).vcpu == 1


@pytest.mark.parametrize("gone", ["proc/100/status", "sys"])
def test_a_process_with_new_inodes_is_still_the_same(tree: Tree, gone: str) -> None:
    """The kernel drops inodes of /proc when it is short of memory."""
    tree.remove(gone)
    directory = VmRegistry(tree.host)
    expected = directory.vms()
    for path in ("proc/100/task/100", "proc/100/task/110", "proc/100/task"):
        old, new = tree.root / path, tree.root / f"{path}-copy"
        new.mkdir()
        for file in old.iterdir():
            file.rename(new / file.name)
        tree.remove(path)
        new.rename(old)
    directory.refresh()
    assert directory.vms() == expected


def test_a_vm_that_is_closed_goes_though_its_process_stays(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    tree.remove(f"{KVM}/100-9")
    directory.refresh()
    assert directory.vms() == {}
    assert directory.thread(100, 999).vcpu is None
    directory.refresh()
    assert directory.vms() == {}


def test_a_process_that_is_ending_keeps_its_name_for_its_last_counts(tree: Tree) -> None:
    """Its memory, and with it the command line, goes first; then its VM; then its threads."""
    directory = VmRegistry(tree.host)
    tree.write("proc/100/cmdline", b"")
    tree.remove(f"{KVM}/100-9")
    directory.refresh()
    assert directory.thread(100, 110) == Thread(110, 100, 0, vm())


def test_a_thread_is_asked_for_its_name_once_more_when_it_is_young(tree: Tree) -> None:
    """A thread begins with its maker's name; what it was called for a moment must not stick."""
    tree.remove("sys")
    tree.thread(100, 112, "qemu-kvm")
    directory = VmRegistry(tree.host)
    assert vcpus(directory) == {"web": {0: 110, 1: 111}}
    tree.thread(100, 112, "CPU 2/KVM")
    directory.refresh()
    assert vcpus(directory) == {"web": {0: 110, 1: 111, 2: 112}}


def test_a_thread_that_counts_is_a_vcpus_though_nothing_says_which(tmp_path: Path) -> None:
    """QEMU without debug-threads, on a kernel that does not tell."""
    tree = Tree(tmp_path)
    tree.process(100, "qemu-kvm", "-name", "web", threads={"110": "qemu-kvm", "111": "qemu-kvm"})
    tree.vm(100, 9)
    directory = VmRegistry(tree.host)
    assert directory.vms() == {vm(): []}
    for _ in range(3):
        assert directory.thread(100, 110) == Thread(110, 100, None, vm())
        directory.refresh()
        assert directory.vms() == {vm(): [Thread(110, 100, None, vm())]}


def test_a_vm_that_nothing_lists_is_known_once_it_counts(tree: Tree) -> None:
    """A VM has no folder while another of the same name is there."""
    directory = VmRegistry(tree.host)
    tree.process(300, "lkvm", "run", "--name", "late", threads={"310": "kvm-vcpu-4"})
    directory.refresh()
    late = Vm(300, START, Kind.KVMTOOL, "late")
    assert directory.thread(300, 310) == Thread(310, 300, 4, late)
    directory.refresh()
    assert directory.vms()[late] == [Thread(310, 300, 4, late)]
    tree.end(300)
    directory.refresh()
    assert late not in directory.vms()


def test_a_vm_that_was_met_first_and_is_listed_later_goes_when_it_is_closed(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    tree.process(300, "lkvm", "run", "--name", "late", threads={"310": "kvm-vcpu-4"})
    assert directory.thread(300, 310).vm.fd is None
    tree.vm(300, 5, {4: 310})
    directory.refresh()
    assert directory.thread(300, 310).vm.fd == 5
    tree.remove(f"{KVM}/300-5")
    directory.refresh()
    assert directory.vms().keys() == {vm()}


def test_vcpus_are_listed_by_number(tree: Tree) -> None:
    tree.thread(100, 105, "CPU 2/KVM")
    tree.thread(100, 120, "CPU 10/KVM")
    directory = VmRegistry(tree.host)
    tree.thread(100, 101, "qemu-kvm")
    directory.thread(100, 101)
    (listed,) = directory.vms().values()
    assert [thread.vcpu for thread in listed] == [0, 1, 2, 10, None]


def test_names_do_not_say_which_vm_of_a_process(tmp_path: Path) -> None:
    """On a kernel that tells of two VMs, but not of their vCPUs."""
    tree = Tree(tmp_path)
    tree.process(100, "some-vmm", threads={"110": "vcpu0", "111": "vcpu0"})
    tree.vm(100, 5)
    tree.vm(100, 6)
    directory = VmRegistry(tree.host)
    assert [(vm.fd, len(threads)) for vm, threads in directory.vms().items()] == [
        (5, 0),
        (6, 0),
        (None, 2),
    ]


def test_a_second_vm_in_a_process(tree: Tree) -> None:
    tree.thread(100, 120, "CPU 0/KVM")
    directory = VmRegistry(tree.host)
    tree.vm(100, 12, {0: 120})
    directory.refresh()
    second = vm(fd=12)
    assert directory.vms()[second] == [Thread(120, 100, 0, second)]
    assert directory.thread(100, 110).vm == vm()


def test_a_thread_of_no_process_is_a_stranger(tree: Tree) -> None:
    directory = VmRegistry(tree.host)
    assert directory.thread(555, 556) == Thread(556, 555, None, Vm(555, None, Kind.OTHER, ""))
    assert directory.thread(100, 556).vm.name == ""
    assert directory.vms().keys() == {vm()}


def test_everything_may_vanish_at_any_call(tree: Tree) -> None:
    """Each call that reads fails in turn, in the first look and in a later one."""
    for call in ("os.open", "os.read", "os.scandir", "os.stat", "os.readlink", "os.access"):
        for after in range(12):
            original = getattr(os, call.removeprefix("os."))
            with mock.patch(call, side_effect=_failing(after, original)):
                directory = VmRegistry(tree.host)
                directory.refresh()
                directory.thread(100, 110)
                directory.vms()
            directory.refresh()
            directory.refresh()
            assert directory.thread(100, 110).vm.pid == 100


def _failing(after: int, original: object) -> object:
    left = [after]

    def call(*args: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise ProcessLookupError
        assert callable(original)
        return original(*args, **options)

    return call
