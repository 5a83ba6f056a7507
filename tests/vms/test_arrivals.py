"""Threads that are met at their first exit: what is known of them once they have ended."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import attrs
import pytest

from kstats.vms.identity import Arrival, Kind, Thread, Vm
from kstats.vms.proc import Proc
from kstats.vms.registry import VmRegistry
from tests.vms.trees import START, Tree

QEMU = Arrival(100, 110, START, 0, "CPU 0/KVM", "qemu-system-x86")
WEB = Vm(100, START, Kind.QEMU, "web", 9)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a host without VMs."""
    made = Tree(tmp_path)
    made.process(1, "init")
    made.write("sys/kernel/debug/kvm/exits", "0\n")
    return made


def start_web(tree: Tree, name: str = "web", start: int = START) -> None:
    """Start a VM in process 100, the vCPU threads of which have no names."""
    threads = {"110": "qemu-kvm", "111": "qemu-kvm"}
    tree.process(100, "qemu-kvm", "-name", name, threads=threads, start=start)
    tree.vm(100, 9, {0: 0, 1: 0})


def test_a_vm_that_ends_before_a_refresh_keeps_name_and_vcpus(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    start_web(tree)
    registry.meet([QEMU, QEMU._replace(tid=111, vcpu=1)])
    tree.end(100)
    registry.refresh()
    assert registry.vms() == {}
    assert registry.thread(100, 110) == Thread(110, 100, 0, WEB)
    assert registry.thread(100, 111) == Thread(111, 100, 1, WEB)
    assert registry.has_ended(100, 110)


def test_a_thread_of_a_vm_that_is_ending_belongs_to_the_same_vm(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    start_web(tree)
    registry.meet([QEMU])
    registry.refresh()
    tree.end_thread(100, 110)
    registry.refresh()
    registry.meet([QEMU._replace(tid=111, vcpu=1)])
    assert registry.thread(100, 110).vm == registry.thread(100, 111).vm == WEB


def test_a_vm_that_ended_before_it_was_met_has_the_names_that_the_kernel_reported(
    tree: Tree,
) -> None:
    registry = VmRegistry(tree.host)
    registry.meet([QEMU, QEMU._replace(tid=111, vcpu=None, name="CPU 1/KVM")])
    registry.refresh()
    vm = Vm(100, START, Kind.QEMU, "qemu-system-x86")
    assert registry.thread(100, 110) == Thread(110, 100, 0, vm)
    assert registry.thread(100, 111) == Thread(111, 100, 1, vm)


def test_a_vm_that_ends_while_it_is_identified_has_the_names_that_the_kernel_reported(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Proc.start

    def start_and_end(proc: Proc, pid: int) -> int | None:
        found = start(proc, pid)
        if next(calls) == 1:  # the call before it finds out whether the process exists
            tree.end(pid)
        return found

    calls = count()
    registry = VmRegistry(tree.host)
    tree.process(100, "qemu-kvm", "-name", "web", threads={"110": "qemu-kvm"})
    monkeypatch.setattr(Proc, "start", start_and_end)
    registry.meet([QEMU])
    registry.refresh()
    assert registry.thread(100, 110).vm == Vm(100, START, Kind.QEMU, "qemu-system-x86")


LIBVIRT = r"/machine.slice/machine-qemu\x2d7\x2dweb\x2d2.scope/libvirt/emulator"
POD = "1b5a5b52-4c52-4f1e-9c6b-3d6f7c1c7a11"
SLICE = (
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice"
)


@pytest.mark.parametrize(
    ("process", "cgroup", "known"),
    [
        ("qemu-system-x86", LIBVIRT, Vm(100, START, Kind.LIBVIRT, "web-2", vmid=7)),
        ("qemu-system-x86", "/qemu.slice/102.scope", Vm(100, START, Kind.QEMU, "102", vmid=102)),
        (
            "firecracker",
            f"{SLICE}/x.scope",
            Vm(100, START, Kind.FIRECRACKER, "firecracker", pod=POD),
        ),
    ],
)
def test_the_cgroup_that_the_kernel_reported_identifies_a_vm_that_has_ended(
    tree: Tree, process: str, cgroup: str, known: Vm
) -> None:
    registry = VmRegistry(tree.host)
    registry.meet([QEMU._replace(process=process, cgroup=cgroup)])
    registry.refresh()
    assert registry.thread(100, 110).vm == known


@pytest.mark.parametrize(("name", "known"), [("tiny-vmm", "tiny-vmm"), ("vcpu3", "")])
def test_without_the_name_of_the_process_a_thread_may_have_inherited_it(
    tree: Tree, name: str, known: str
) -> None:
    registry = VmRegistry(tree.host)
    registry.meet([Arrival(100, 110, None, None, name, "")])
    registry.refresh()
    assert registry.thread(100, 110).vm == Vm(100, None, Kind.OTHER, known)


def test_a_process_that_has_the_pid_now_is_not_the_one_that_was_reported(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    start_web(tree, "other", start=START + 1)
    registry.meet([QEMU])
    assert registry.vms() == {}
    registry.refresh()
    assert registry.thread(100, 112).vm.name == ""
    assert [vm.name for vm in registry.vms()] == ["other"]


def test_vms_that_use_a_pid_one_after_the_other_are_distinguished(tree: Tree) -> None:
    """Their threads have different numbers here; if they are the same, so are the counters."""
    registry = VmRegistry(tree.host)
    start_web(tree, "first")
    registry.meet([QEMU])
    registry.refresh()
    tree.end(100)
    start_web(tree, "second", start=START + 1)
    registry.meet([QEMU._replace(tid=111, start=START + 1, vcpu=1)])
    tree.end(100)
    registry.refresh()
    first, second = registry.thread(100, 110), registry.thread(100, 111)
    assert (first.vm.name, first.vcpu) == ("first", 0)
    assert (second.vm.name, second.vcpu) == ("second", 1)


def test_the_number_of_a_vcpu_survives_where_only_the_kernel_reports_it(tree: Tree) -> None:
    """As on ARM64, with threads that have no names of their own."""
    registry = VmRegistry(tree.host)
    threads = {"110": "qemu-kvm", "111": "qemu-kvm"}
    tree.process(100, "qemu-kvm", "-name", "web", threads=threads)
    tree.vm(100, 9)
    registry.meet([QEMU._replace(vcpu=5)])
    for _ in range(3):
        registry.refresh()
        assert registry.thread(100, 110) == Thread(110, 100, 5, WEB)
        assert registry.thread(100, 111) == Thread(111, 100, None, WEB)


def test_debugfs_has_the_last_word_on_the_number_of_a_vcpu(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    start_web(tree)
    tree.write("sys/kernel/debug/kvm/100-9/vcpu1/pid", "110\n")
    registry.meet([QEMU])
    assert registry.thread(100, 110) == Thread(110, 100, 1, WEB)
    registry.refresh()
    assert registry.thread(100, 110) == Thread(110, 100, 1, WEB)


def test_threads_that_departed_are_named_once(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    start_web(tree)
    registry.meet([QEMU, QEMU._replace(pid=200, tid=210)])
    registry.refresh()
    assert registry.departed() == {200 << 32 | 210}
    registry.refresh()
    assert registry.departed() == set()
    tree.end(100)
    registry.refresh()
    assert registry.departed() == {100 << 32 | 110}


def test_what_was_met_is_forgotten_after_two_refreshes(tree: Tree) -> None:
    registry = VmRegistry(tree.host)
    registry.meet([QEMU])
    for known in (True, True, False):
        registry.refresh()
        assert bool(registry.thread(100, 110).vm.name) is known


def test_a_vm_is_met_with_all_that_it_is_found_with_later(tree: Tree) -> None:
    """Else one VM would be two: one of its first samples, and one of the others."""
    registry = VmRegistry(tree.host)
    start_web(tree)
    registry.meet([QEMU])
    met = registry.thread(100, 110)
    registry.refresh()
    assert attrs.astuple(registry.thread(100, 110)) == attrs.astuple(met)
