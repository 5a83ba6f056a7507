"""The recorded hosts: VMs, their names, and the threads of their vCPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.vms.identity import Thread, Vm
from kstats.vms.registry import VmRegistry
from tests.vms import trees


@pytest.mark.parametrize("name", trees.RECORDINGS)
def test_the_vms_of_a_recorded_host(tmp_path: Path, name: str) -> None:
    tree, expected = trees.recorded(tmp_path, name)
    registry = VmRegistry(tree.host)
    assert registry.vms() == expected
    for threads in expected.values():
        assert [registry.thread(thread.pid, thread.tid) for thread in threads] == threads


@pytest.mark.parametrize("name", trees.RECORDINGS)
def test_a_refresh_of_an_unchanged_host_changes_nothing(tmp_path: Path, name: str) -> None:
    tree, expected = trees.recorded(tmp_path, name)
    registry = VmRegistry(tree.host)
    for _ in range(3):
        registry.refresh()
        assert registry.vms() == expected


def test_all_recorded_vms_are_found_on_one_host(tmp_path: Path) -> None:
    expected: dict[Vm, list[Thread]] = {}
    for name in trees.RECORDINGS:
        tree, vms = trees.recorded(tmp_path, name)
        expected |= {vm: threads for vm, threads in vms.items() if vm.fd is not None}
    found = VmRegistry(tree.host).vms()
    assert {vm: threads for vm, threads in found.items() if vm.fd is not None} == expected
