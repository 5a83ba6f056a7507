"""KVM's descriptors of a process, on made-up trees of /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.vms.kvm_fds import Descriptors, descriptors
from kstats.vms.proc import Proc
from tests.vms.trees import QEMU_FDS, VM, Tree, stats, vcpu


def test_descriptors_of_a_vmm(tmp_path: Path) -> None:
    Tree(tmp_path).process(100, fds=QEMU_FDS)
    found = descriptors(Proc(tmp_path), 100)
    assert found == Descriptors((9,), {10: 0, 12: 1}, {11: 0, 13: 1})
    assert found.without_stats == frozenset()


def test_vcpus_without_statistics(tmp_path: Path) -> None:
    """In some VMMs a vCPU's mapped page has a descriptor, too; VMs may use the same numbers."""
    links = {4: VM, 5: VM, 6: vcpu(0), 7: vcpu(0), 8: vcpu(1), 9: vcpu(12), 10: stats(1)}
    Tree(tmp_path).process(100, fds=links)
    found = descriptors(Proc(tmp_path), 100)
    assert set(found.vms) == {4, 5}
    assert found.without_stats == {0, 12}


@pytest.mark.parametrize(
    "link",
    [
        "/srv/anon_inode:kvm-vcpu-stats:0",
        "anon_inode:kvm-vcpu-stats:0 (deleted)",
        "anon_inode:kvm-vcpu-stats:x",
        "anon_inode:kvm-vcpu:",
        "anon_inode:kvm-vmx",
        "pipe:[12]",
    ],
)
def test_other_files_are_not_kvms(tmp_path: Path, link: str) -> None:
    Tree(tmp_path).process(100, fds={3: link})
    assert descriptors(Proc(tmp_path), 100) == Descriptors()


def test_a_process_that_has_ended_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        descriptors(Proc(tmp_path), 100)
