"""VMs and vCPUs from sample to sample: new, idle and ended ones, and numbers used again."""

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
    """Return a host with one VM, web: process 100, vCPU 0 in thread 110 and vCPU 1 in 111."""
    made = Tree(tmp_path)
    made.process(100, "qemu-kvm", "-name", "web", threads={"110": "CPU 0/KVM", "111": "CPU 1/KVM"})
    made.vm(100, 9, {0: 110, 1: 111})
    return made


def vm(name: str = "web", *, pid: int = 100, start: int = START, fd: int | None = 9) -> Vm:
    return Vm(pid, start, Kind.QEMU, name, fd)


def vcpus(registry: VmRegistry) -> dict[str, dict[int | None, int]]:
    """Return the thread of each vCPU of each VM."""
    listed = {}
    for vm, threads in registry.vms().items():
        listed[vm.name] = {thread.vcpu: thread.tid for thread in threads}
        assert len(listed[vm.name]) == len(threads), "a vCPU is listed once"
    return listed


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Count the files opened, folders listed and paths looked up."""
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


def test_a_separate_pid_namespace_is_refused(tree: Tree) -> None:
    tree.link("proc/1/ns/pid", "pid:[4026532201]")
    with pytest.raises(ForeignPidsError, match="PID namespace"):
        VmRegistry(tree.host)


def test_an_idle_vcpu_is_listed(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    assert registry.vms() == {vm(): [Thread(110, 100, 0, vm()), Thread(111, 100, 1, vm())]}
    assert registry.thread(100, 111) == Thread(111, 100, 1, vm())


def test_a_thread_that_has_ended_is_known_as_ended(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    assert not registry.has_ended(100, 111)
    tree.end(100)
    registry.refresh()
    assert registry.thread(100, 111).vcpu == 1
    assert registry.has_ended(100, 111)


def test_a_host_without_vms_or_without_files_has_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert VmRegistry(tree.host).vms() == {}
    tree.process(1, "init")
    (tmp_path / KVM).mkdir(parents=True)
    assert VmRegistry(tree.host).vms() == {}


def test_a_known_vm_costs_two_stats_and_its_threads_nothing(tree: Tree) -> None:
    for tid in range(112, 150):
        tree.thread(100, tid, f"CPU {tid - 110}/KVM")
    registry = VmRegistry(tree.host)
    registry.refresh()
    with calls() as counts:
        registry.refresh()
    # The folder of all VMs is looked at and listed, the VM's and its process's are looked at.
    assert counts == {"stat": 3, "list": 1}
    with calls() as counts:
        assert [registry.thread(100, tid).vcpu for tid in range(110, 150)] == list(range(40))
        registry.vms()
    assert not counts


def test_new_vms_and_vcpus_are_found(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    tree.process(200, "qemu-kvm", "-name", "db", threads={"210": "CPU 0/KVM"})
    tree.vm(200, 9, {0: 210})
    tree.thread(100, 112, "CPU 2/KVM")
    tree.write(f"{KVM}/100-9/vcpu2/pid", "112\n")
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110, 1: 111, 2: 112}, "db": {0: 210}}


def test_a_vcpu_is_known_once_it_has_run(tree: Tree) -> None:
    """Before that the kernel reports 0 as its thread."""
    tree.thread(100, 112, "qemu-kvm")
    file = tree.write(f"{KVM}/100-9/vcpu2/pid", "0\n")
    registry = VmRegistry(tree.host)
    for _ in range(3):
        assert vcpus(registry) == {"web": {0: 110, 1: 111}}
        registry.refresh()
    file.write_text("112\n", encoding="utf-8")
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110, 1: 111, 2: 112}}


def test_a_vm_whose_creator_ended_is_found_by_its_vcpus_once_they_run(tmp_path: Path) -> None:
    """The folder is named after the thread that created the VM, which has ended."""
    tree = Tree(tmp_path)
    tree.process(100, "some-vmm", threads={"110": "x"})
    tree.vm(105, 9, {0: 0})
    registry = VmRegistry(tree.host)
    assert registry.vms() == {}
    (tree.root / KVM / "105-9/vcpu0/pid").write_text("110\n", encoding="utf-8")
    registry.refresh()
    assert vcpus(registry) == {"vmm": {0: 110}}


def test_ended_threads_are_known_for_their_last_counts(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    tree.end(100)
    last = Thread(111, 100, 1, vm())
    registry.refresh()  # for counts up to this refresh, which notices the end
    assert registry.vms() == {}
    assert registry.thread(100, 111) == last
    registry.refresh()  # for counts between the last snapshot and the end
    assert registry.thread(100, 111) == last
    registry.refresh()
    assert registry.thread(100, 111) == Thread(111, 100, None, Vm(100, None, Kind.OTHER, ""))


def test_an_unplugged_vcpu_is_known_for_its_last_counts(tree: Tree) -> None:
    """Its thread ends, and the kernel keeps reporting its number."""
    registry = VmRegistry(tree.host)
    tree.end_thread(100, 111)
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110}}
    assert registry.thread(100, 111).vcpu == 1


def test_a_replugged_vcpu_has_another_thread(tree: Tree) -> None:
    """QEMU keeps the vCPU's descriptor, so the VM's folder does not change."""
    registry = VmRegistry(tree.host)
    tree.end_thread(100, 111)
    registry.refresh()
    tree.thread(100, 125, "qemu-kvm")
    (tree.root / KVM / "100-9/vcpu1/pid").write_text("125\n", encoding="utf-8")
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110, 1: 125}}


def test_a_number_used_again_is_another_vm(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    tree.end(100)
    tree.process(100, "qemu-kvm", "-name", "db", start=9999, threads={"110": "CPU 3/KVM"})
    tree.vm(100, 9, {3: 110})
    registry.refresh()
    new = vm("db", start=9999)
    assert registry.vms() == {new: [Thread(110, 100, 3, new)]}
    assert registry.thread(100, 110) == Thread(110, 100, 3, new)
    assert registry.thread(100, 111) == Thread(111, 100, 1, vm()), "the old one's last counts"


def test_a_thread_number_used_again_in_the_same_process(tree: Tree) -> None:
    tree.remove("sys")
    registry = VmRegistry(tree.host)
    tree.end_thread(100, 111)
    tree.thread(100, 111, "worker")
    tree.thread(100, 112, "CPU 1/KVM")
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110, 1: 112}}


def test_a_number_of_a_thread_that_counted_used_again(tree: Tree) -> None:
    tree.thread(100, 120, "qemu-kvm")
    registry = VmRegistry(tree.host)
    assert registry.thread(100, 120).vcpu is None
    tree.end_thread(100, 120)
    tree.thread(100, 120, "worker")
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110, 1: 111}}


def test_a_thread_that_replaced_another_is_known_once_it_counts(tree: Tree) -> None:
    """Without listing the threads, procfs only shows their number."""
    with mock.patch.object(Proc, "stamp", return_value=(1, 1, 1)):
        registry = VmRegistry(tree.host)
        registry.refresh()
        tree.end_thread(100, 111)
        tree.thread(100, 125, "qemu-kvm")
        (tree.root / KVM / "100-9/vcpu1/pid").write_text("125\n", encoding="utf-8")
        registry.refresh()
        assert registry.thread(100, 125).vcpu is None
        registry.refresh()
        assert registry.thread(100, 125).vcpu == 1


@pytest.mark.parametrize("gone", ["proc/100/status", "sys"])
def test_a_process_with_new_inodes_is_still_the_same(tree: Tree, gone: str) -> None:
    """The kernel drops inodes of /proc when it is short of memory."""
    tree.remove(gone)
    registry = VmRegistry(tree.host)
    expected = registry.vms()
    for path in ("proc/100/task/100", "proc/100/task/110", "proc/100/task"):
        old, new = tree.root / path, tree.root / f"{path}-copy"
        new.mkdir()
        for file in old.iterdir():
            file.rename(new / file.name)
        tree.remove(path)
        new.rename(old)
    registry.refresh()
    assert registry.vms() == expected


def test_a_closed_vm_is_not_listed_although_its_process_runs(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    tree.remove(f"{KVM}/100-9")
    registry.refresh()
    assert registry.vms() == {}
    assert registry.thread(100, 999).vcpu is None
    registry.refresh()
    assert registry.vms() == {}


def test_a_process_that_is_ending_keeps_its_name_for_its_last_counts(tree: Tree) -> None:
    """Its memory, including the command line, goes first; then its VM; then its threads."""
    registry = VmRegistry(tree.host)
    tree.write("proc/100/cmdline", b"")
    tree.remove(f"{KVM}/100-9")
    registry.refresh()
    assert registry.thread(100, 110) == Thread(110, 100, 0, vm())


def test_the_name_of_a_new_thread_is_read_twice(tree: Tree) -> None:
    """A thread starts with its creator's name, which must not stick."""
    tree.remove("sys")
    tree.thread(100, 112, "qemu-kvm")
    registry = VmRegistry(tree.host)
    assert vcpus(registry) == {"web": {0: 110, 1: 111}}
    tree.thread(100, 112, "CPU 2/KVM")
    registry.refresh()
    assert vcpus(registry) == {"web": {0: 110, 1: 111, 2: 112}}


def test_a_thread_that_counts_runs_an_unknown_vcpu(tmp_path: Path) -> None:
    """QEMU without debug-threads, on a kernel that does not report vCPU threads."""
    tree = Tree(tmp_path)
    tree.process(100, "qemu-kvm", "-name", "web", threads={"110": "qemu-kvm", "111": "qemu-kvm"})
    tree.vm(100, 9)
    registry = VmRegistry(tree.host)
    assert registry.vms() == {vm(): []}
    for _ in range(3):
        assert registry.thread(100, 110) == Thread(110, 100, None, vm())
        registry.refresh()
        assert registry.vms() == {vm(): [Thread(110, 100, None, vm())]}


def test_an_unlisted_vm_is_known_once_it_counts(tree: Tree) -> None:
    """A VM has no folder while another of the same name is there."""
    registry = VmRegistry(tree.host)
    tree.process(300, "lkvm", "run", "--name", "late", threads={"310": "kvm-vcpu-4"})
    registry.refresh()
    late = Vm(300, START, Kind.KVMTOOL, "late")
    assert registry.thread(300, 310) == Thread(310, 300, 4, late)
    registry.refresh()
    assert registry.vms()[late] == [Thread(310, 300, 4, late)]
    tree.end(300)
    registry.refresh()
    assert late not in registry.vms()


def test_a_vm_that_counted_before_it_was_listed_ends_when_it_is_closed(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    tree.process(300, "lkvm", "run", "--name", "late", threads={"310": "kvm-vcpu-4"})
    assert registry.thread(300, 310).vm.fd is None
    tree.vm(300, 5, {4: 310})
    registry.refresh()
    assert registry.thread(300, 310).vm.fd == 5
    tree.remove(f"{KVM}/300-5")
    registry.refresh()
    assert registry.vms().keys() == {vm()}


def test_vcpus_are_listed_by_number(tree: Tree) -> None:
    tree.thread(100, 105, "CPU 2/KVM")
    tree.thread(100, 120, "CPU 10/KVM")
    registry = VmRegistry(tree.host)
    tree.thread(100, 101, "qemu-kvm")
    registry.thread(100, 101)
    (listed,) = registry.vms().values()
    assert [thread.vcpu for thread in listed] == [0, 1, 2, 10, None]


def test_thread_names_do_not_identify_the_vm_within_a_process(tmp_path: Path) -> None:
    """On a kernel that reports two VMs, but not their vCPUs."""
    tree = Tree(tmp_path)
    tree.process(100, "some-vmm", threads={"110": "vcpu0", "111": "vcpu0"})
    tree.vm(100, 5)
    tree.vm(100, 6)
    registry = VmRegistry(tree.host)
    assert [(vm.fd, len(threads)) for vm, threads in registry.vms().items()] == [
        (5, 0),
        (6, 0),
        (None, 2),
    ]


def test_a_second_vm_in_a_process(tree: Tree) -> None:
    tree.thread(100, 120, "CPU 0/KVM")
    registry = VmRegistry(tree.host)
    tree.vm(100, 12, {0: 120})
    registry.refresh()
    second = vm(fd=12)
    assert registry.vms()[second] == [Thread(120, 100, 0, second)]
    assert registry.thread(100, 110).vm == vm()


def test_a_thread_that_does_not_exist_is_unknown(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    assert registry.thread(555, 556) == Thread(556, 555, None, Vm(555, None, Kind.OTHER, ""))
    assert registry.thread(100, 556).vm.name == ""
    assert registry.vms().keys() == {vm()}


def test_any_file_may_disappear_at_any_call(tree: Tree) -> None:
    """Make each reading call fail in turn, in the first refresh and in a later one."""
    for call in ("os.open", "os.read", "os.scandir", "os.stat", "os.readlink", "os.access"):
        for after in range(12):
            original = getattr(os, call.removeprefix("os."))
            with mock.patch(call, side_effect=_failing(after, original)):
                registry = VmRegistry(tree.host)
                registry.refresh()
                registry.thread(100, 110)
                registry.vms()
            registry.refresh()
            registry.refresh()
            assert registry.thread(100, 110).vm.pid == 100


def _failing(after: int, original: object) -> object:
    left = [after]

    def call(*args: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise ProcessLookupError
        assert callable(original)
        return original(*args, **options)

    return call
