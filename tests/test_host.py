"""Facts about recorded hosts, and about this host if another source can confirm them."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest

from kstats.errors import UnsupportedHostError
from kstats.host import Host
from kstats.topology import CpuTopology
from tests import trees

LOCKDOWN = "sys/kernel/security/lockdown"


def test_offline_cpus_are_possible_but_not_online(tmp_path: Path) -> None:
    host = trees.recorded(tmp_path, trees.cpus("0,2-3", possible="0-7"))
    assert host.online_cpus() == (0, 2, 3)
    assert host.possible_cpus() == tuple(range(8))


def test_cpu_numbers_may_have_gaps(tmp_path: Path) -> None:
    host = trees.recorded(tmp_path, trees.cpus("0,16", possible="0-1,16-17"))
    assert host.possible_cpus() == (0, 1, 16, 17)


def test_without_sysfs_the_cpus_are_not_guessed(tmp_path: Path) -> None:
    """The kernel writes one value per possible CPU into a buffer."""
    for ask in (Host(tmp_path).possible_cpus, Host(tmp_path).online_cpus):
        with pytest.raises(
            UnsupportedHostError, match="cannot read /sys/devices/system/cpu"
        ) as caught:
            ask()
        assert "mount -t sysfs" in caught.value.hint


def test_this_hosts_cpus_are_those_of_sysconf() -> None:
    assert len(Host().online_cpus()) == os.sysconf("SC_NPROCESSORS_ONLN")
    assert os.sched_getaffinity(0) <= set(Host().online_cpus()) <= set(Host().possible_cpus())
    assert Host().machine == platform.machine() == os.uname().machine


def test_topology_of_two_sockets(tmp_path: Path) -> None:
    """Core numbers repeat in each socket; a node with only memory has no CPUs."""
    files = trees.nodes("0,2", "", "1,3") | trees.topology(0, 0, 5, die=0)
    files |= trees.topology(1, 1, 5, die=1) | trees.topology(2, 0, 6, die=0)
    host = trees.recorded(tmp_path, files)
    assert host.topology((0, 1, 2, 3)) == {
        0: CpuTopology(node=0, socket=0, die=0, core=5),
        1: CpuTopology(node=2, socket=1, die=1, core=5),
        2: CpuTopology(node=0, socket=0, die=0, core=6),
        3: CpuTopology(node=2),
    }


@pytest.mark.parametrize("number", ["-1", "", "x", "9" * 40])
def test_unknown_numbers_of_sysfs(tmp_path: Path, number: str) -> None:
    files = {"sys/devices/system/cpu/cpu0/topology/physical_package_id": number}
    assert trees.recorded(tmp_path, files).topology((0,)) == {0: CpuTopology(node=0)}


def test_topology_is_read_again_when_other_cpus_are_online(tmp_path: Path) -> None:
    host = trees.recorded(tmp_path, trees.topology(0, 0, 0))
    first = host.topology((0,))
    assert host.topology((0,)) is first
    trees.recorded(tmp_path, trees.topology(1, 0, 1))
    assert host.topology((0, 1))[1].core == 1


def test_this_hosts_topology_is_that_of_lscpu() -> None:
    """An unknown number is an empty field."""
    words = ["lscpu", "-p=CPU,NODE,SOCKET", "--physical"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split(",") for line in listed if not line.startswith("#")]
    found = Host().topology(Host().online_cpus())
    assert {cpu: (str(place.node), str(place.socket)) for cpu, place in found.items()} == {
        int(cpu): (node or "0", socket or "-1") for cpu, node, socket in rows
    }


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (None, "none"),
        ("", "none"),
        ("[none] integrity confidentiality\n", "none"),
        ("none [integrity] confidentiality\n", "integrity"),
        ("none integrity [confidentiality]\n", "confidentiality"),
        ("something else\n", "none"),
    ],
)
def test_lockdown_is_the_mode_in_brackets(tmp_path: Path, text: str | None, mode: str) -> None:
    files = {} if text is None else {LOCKDOWN: text}
    assert trees.recorded(tmp_path, files).lockdown() == mode


def test_a_module_is_there_when_sysfs_has_it(tmp_path: Path) -> None:
    host = trees.recorded(tmp_path, trees.modules(["kvm_amd"]))
    assert host.has_module("kvm_amd")
    assert not host.has_module("kvm_intel")


@pytest.mark.parametrize("path", ["dev/kvm", trees.KVM_IN_SYSFS])
def test_either_device_shows_that_kvm_is_there(tmp_path: Path, path: str) -> None:
    """A container may have a separate /dev, a chroot may lack /sys."""
    assert not Host(tmp_path).has_kvm()
    assert trees.recorded(tmp_path, {path: ""}).has_kvm()


@pytest.mark.parametrize("field", ["flags", "Features"])
def test_cpu_flags_are_the_first_cpus(tmp_path: Path, field: str) -> None:
    files = trees.flags("svm", field=field)
    files["proc/cpuinfo"] += f"\nprocessor\t: 1\n{field}\t\t: vmx\n"
    assert trees.recorded(tmp_path, files).cpu_flags() == {"fpu", "svm", "sse"}


def test_without_cpuinfo_there_are_no_flags(tmp_path: Path) -> None:
    assert Host(tmp_path).cpu_flags() == frozenset()


@pytest.mark.parametrize("path", ["sys/kernel/tracing", "sys/kernel/debug/tracing"])
def test_tracefs_may_be_mounted_in_two_folders(tmp_path: Path, path: str) -> None:
    host = trees.recorded(tmp_path, {f"{path}/events/kvm/kvm_exit/format": "name: kvm_exit\n"})
    assert host.tracefs() == str(tmp_path / path)
    assert host.event_format("kvm/kvm_exit") == "name: kvm_exit"
    assert host.event_format("kvm/kvm_entry") is None


def test_an_empty_mount_point_is_not_tracefs(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/tracing").mkdir(parents=True)
    assert Host(tmp_path).tracefs() is None
    assert Host(tmp_path).event_format("kvm/kvm_exit") is None


def test_a_path_without_permission_does_not_exist(tmp_path: Path) -> None:
    """Normal users cannot look into tracefs."""
    unanswerable = "n" * 300  # stat(2) fails with ENAMETOOLONG, also for root
    assert not Host(tmp_path).exists(unanswerable)
    assert Host(tmp_path).read(unanswerable) is None


def test_invalid_utf8_and_directories_do_not_raise(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\xfe ok\n")
    assert Host(tmp_path).read("odd") == "�� ok"
    assert Host(tmp_path).read(".") is None
