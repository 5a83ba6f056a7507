"""Facts about recorded hosts; about this one where the kernel or Python can be asked as well."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from kstats.errors import UnsupportedHostError
from kstats.host import Host
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
    """The kernel fills a buffer of as many values as there are possible CPUs."""
    for ask in (Host(tmp_path).possible_cpus, Host(tmp_path).online_cpus):
        with pytest.raises(UnsupportedHostError, match="which CPUs this host has") as caught:
            ask()
        assert "mount -t sysfs" in caught.value.hint


def test_this_hosts_cpus_are_those_that_the_system_tells() -> None:
    assert len(Host().online_cpus()) == os.sysconf("SC_NPROCESSORS_ONLN")
    assert os.sched_getaffinity(0) <= set(Host().online_cpus()) <= set(Host().possible_cpus())
    assert Host().machine == platform.machine() == os.uname().machine


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
def test_kvm_is_there_by_either_of_its_devices(tmp_path: Path, path: str) -> None:
    """A container may have a /dev of its own, a chroot no /sys."""
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
def test_tracefs_may_be_mounted_at_either_place(tmp_path: Path, path: str) -> None:
    host = trees.recorded(tmp_path, {f"{path}/events/kvm/kvm_exit/format": "name: kvm_exit\n"})
    assert host.tracefs() == tmp_path / path
    assert host.event_format("kvm/kvm_exit") == "name: kvm_exit"
    assert host.event_format("kvm/kvm_entry") is None


def test_an_empty_mount_point_is_no_tracefs(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/tracing").mkdir(parents=True)
    assert Host(tmp_path).tracefs() is None
    assert Host(tmp_path).event_format("kvm/kvm_exit") is None


def test_what_may_not_be_looked_at_is_not_there(tmp_path: Path) -> None:
    """Tracefs is closed to normal users: that is an answer, not a crash."""
    unanswerable = "n" * 300  # stat(2) says ENAMETOOLONG, to root as well
    assert not Host(tmp_path).exists(unanswerable)
    assert Host(tmp_path).read(unanswerable) is None


def test_odd_bytes_and_directories_are_read_without_a_crash(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\xfe ok\n")
    assert Host(tmp_path).read("odd") == "�� ok"
    assert Host(tmp_path).read(".") is None
