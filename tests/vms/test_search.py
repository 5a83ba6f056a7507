"""Finding VMs among all processes, where debugfs does not list them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.vms.identity import Kind, Vm
from kstats.vms.proc import Proc
from kstats.vms.registry import VmRegistry
from kstats.vms.search import Search
from tests.vms.trees import START, Tree

VM = {"7": "anon_inode:kvm-vm"}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A host with processes that run no VM."""
    made = Tree(tmp_path)
    made.process(1, "init", fds={"0": "/dev/null"})
    made.process(50, "bash", "-c", "sleep 9")
    return made


def test_a_vm_is_what_has_one_open(tree: Tree) -> None:
    tree.process(100, "some-vmm", fds=VM)
    assert Search(Proc(tree.root)).refresh() == {100}
    assert VmRegistry(tree.host).vms() == {Vm(100, START, Kind.OTHER, "vmm"): []}


def test_without_privileges_a_vm_is_a_vmm_with_a_vcpus_thread(tree: Tree) -> None:
    tree.process(100, "crosvm", "run", threads={"101": "crosvm_vcpu0"})
    tree.process(200, "pretender", threads={"201": "vcpu0"})
    assert Search(Proc(tree.root)).refresh() == {100}


def test_a_vmm_that_waits_for_orders_is_found_when_it_got_them(tree: Tree) -> None:
    tree.process(100, "firecracker", "--id", "m")
    search = Search(Proc(tree.root))
    assert search.refresh() == set()
    assert search.refresh() == set()
    tree.thread(100, 101, "fc_vcpu 0")
    assert search.refresh() == {100}
    assert search.refresh() == set()


def test_a_process_is_looked_at_when_it_has_settled(tree: Tree) -> None:
    """A new one may still be what started it; most are gone before the next sample."""
    search = Search(Proc(tree.root))
    search.refresh()
    tree.process(100, "some-vmm")
    tree.process(101, "cat")
    assert search.refresh() == set()
    tree.end(101)
    tree.link("proc/100/fd/7", "anon_inode:kvm-vm")
    assert search.refresh() == {100}


def test_a_process_that_went_and_came_again_is_looked_at_again(tree: Tree) -> None:
    tree.process(100, "firecracker")
    search = Search(Proc(tree.root))
    search.refresh()
    tree.end(100)
    tree.process(100, "some-vmm", fds=VM)
    search.refresh()
    assert search.refresh() == {100}


def test_vms_that_end_are_not_listed_any_more(tree: Tree) -> None:
    tree.process(100, "crosvm", "run", threads={"101": "crosvm_vcpu0"}, fds=VM)
    directory = VmRegistry(tree.host)
    assert len(directory.vms()) == 1
    tree.end(100)
    directory.refresh()
    assert directory.vms() == {}


def test_debugfs_that_comes_later_tells_vms_apart(tree: Tree) -> None:
    tree.process(100, "crosvm", "run", threads={"101": "crosvm_vcpu0"}, fds=VM)
    directory = VmRegistry(tree.host)
    assert [vm.fd for vm in directory.vms()] == [None]
    tree.vm(100, 7, {0: 101})
    directory.refresh()
    assert [vm.fd for vm in directory.vms()] == [7]
