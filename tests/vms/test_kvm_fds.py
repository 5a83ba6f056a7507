"""Which processes hold VMs and by which descriptors, on recorded trees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kstats.host import Host
from kstats.vms import kvm_fds
from kstats.vms.kvm_fds import WALK_SECONDS, Descriptors, Finder

VM, EVENT = "anon_inode:kvm-vm", "anon_inode:[eventfd]"


def vcpu(number: int) -> str:
    return f"anon_inode:kvm-vcpu:{number}"


def stats(number: int) -> str:
    return f"anon_inode:kvm-vcpu-stats:{number}"


QEMU = {3: "/dev/kvm", 9: VM, 10: vcpu(0), 11: stats(0), 12: vcpu(1), 13: stats(1), 14: EVENT}


def process(host: Host, pid: int, links: Mapping[int, str], tgid: int | None = None) -> None:
    """Makes a process with these descriptors, or a thread of ``tgid``."""
    folder = host.root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    for fd, link in links.items():
        (folder / "fd" / str(fd)).symlink_to(link)
    (folder / "status").write_text(f"Name:\tqemu\nTgid:\t{tgid or pid}\nPid:\t{pid}\n")
    numbers = " ".join(str(n) for n in range(4, 53))
    (folder / "stat").write_text(f"{pid} (a ) b) S {numbers}\n")


def vm(host: Host, name: str, vcpus: int = 1) -> Path:
    """Makes a VM's directory in debugfs."""
    folder = host.root / "sys/kernel/debug/kvm" / name
    for number in range(vcpus):
        (folder / f"vcpu{number}").mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "proc").mkdir()
    return Host(tmp_path, "x86_64")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_descriptors_of_a_vmm(host: Host) -> None:
    process(host, 100, QEMU)
    found = kvm_fds.descriptors(host, 100)
    assert found == Descriptors((9,), {10: 0, 12: 1}, {11: 0, 13: 1})
    assert found.without_stats == frozenset()


def test_vcpus_without_statistics_are_told(host: Host) -> None:
    """A vCPU's mapped page is a descriptor more in some VMMs; VMs may use the same numbers."""
    links = {4: VM, 5: VM, 6: vcpu(0), 7: vcpu(0), 8: vcpu(1), 9: vcpu(12), 10: stats(1)}
    process(host, 100, links)
    found = kvm_fds.descriptors(host, 100)
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
def test_other_files_are_not_taken_for_kvms(host: Host, link: str) -> None:
    process(host, 100, {3: link})
    assert kvm_fds.descriptors(host, 100) == Descriptors()


def test_a_process_that_is_gone_is_an_error(host: Host) -> None:
    with pytest.raises(FileNotFoundError):
        kvm_fds.descriptors(host, 100)


def test_start_time(host: Host) -> None:
    """The name before it may hold blanks and parentheses."""
    process(host, 100, {})
    assert kvm_fds.start_time(host, 100) == 22
    assert kvm_fds.start_time(host, 101) is None


def test_debugfs_names_the_processes(host: Host) -> None:
    process(host, 100, QEMU)
    process(host, 200, QEMU)
    process(host, 300, QEMU)
    vm(host, "100-9")
    vm(host, "200-9")
    vm(host, "200-20")
    (host.root / "sys/kernel/debug/kvm/exits").write_text("0\n")
    assert Finder(host).find().keys() == {100, 200}


def test_a_vm_is_named_after_the_thread_that_made_it(host: Host) -> None:
    """And its process stays known after that thread has ended."""
    process(host, 100, QEMU)
    process(host, 107, {}, tgid=100)
    vm(host, "107-9")
    finder = Finder(host)
    assert finder.find().keys() == {100}
    (host.root / "proc/107/status").unlink()
    assert finder.find().keys() == {100}


def test_a_vm_whose_maker_had_ended_is_found_by_a_walk(host: Host) -> None:
    process(host, 100, QEMU)
    process(host, 200, QEMU)
    process(host, 300, {1: "/dev/null"})
    vm(host, "107-9")
    vm(host, "200-9")
    assert Finder(host).find().keys() == {100, 200}


def test_tokens_change_with_vms_and_vcpus_only(host: Host, clock: Clock) -> None:
    process(host, 100, QEMU)
    process(host, 200, QEMU)
    folder = vm(host, "100-9")
    vm(host, "200-9")
    if folder.stat().st_nlink != 3:
        pytest.skip("this file system does not count directories as links, as debugfs does")
    finder = Finder(host, clock)
    before = finder.find()
    clock.now += 100
    assert finder.find() == before
    (folder / "vcpu1").mkdir()
    grown = finder.find()
    assert grown[100] != before[100]
    assert grown[200] == before[200]
    vm(host, "200-20")
    assert finder.find()[200] != before[200]


def test_tokens_change_by_and_by_where_vcpus_do_not_show(host: Host, clock: Clock) -> None:
    process(host, 100, QEMU)
    vm(host, "100-9", vcpus=0)
    finder = Finder(host, clock)
    before = finder.find()
    clock.now += WALK_SECONDS
    assert finder.find()[100] != before[100]


def test_without_debugfs_all_processes_are_looked_through_now_and_then(
    host: Host, clock: Clock
) -> None:
    process(host, 100, QEMU)
    process(host, 300, {1: "/dev/null"})
    (host.root / "proc/self").mkdir()
    finder = Finder(host, clock)
    first = finder.find()
    assert first.keys() == {100}
    process(host, 200, QEMU)
    clock.now += WALK_SECONDS - 1
    assert finder.find() == first
    clock.now += 1
    later = finder.find()
    assert later.keys() == {100, 200}
    assert later[100] != first[100]


def test_processes_that_are_closed_to_us_are_counted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(host, 100, QEMU)
    process(host, 200, QEMU)
    listed = kvm_fds._names

    def names(folder: Path) -> list[str]:
        if folder == host.root / "proc/200/fd":
            raise PermissionError
        return listed(folder)

    monkeypatch.setattr(kvm_fds, "_names", names)
    finder = Finder(host)
    assert finder.find().keys() == {100}
    assert finder.refused == 1


def test_nothing_to_find(tmp_path: Path) -> None:
    assert Finder(Host(tmp_path)).find() == {}
