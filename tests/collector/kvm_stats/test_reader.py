"""Reading KVM's counters: on made-up trees, with files of this process as the VMMs'."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest

from kstats.collector.kvm_stats import pidfd, reader
from kstats.collector.kvm_stats.reader import Kernel, VcpuStats
from kstats.errors import KstatsError, PrivilegeError, UnsupportedHostError
from kstats.host import Host
from kstats.vms.finder import SEARCH_SECONDS
from kstats.vms.identity import Vcpu
from tests.collector.kvm_stats.blobs import X64, X64_COUNTERS, Made, blob
from tests.vms.trees import EVENT, START, VM, Tree, stats, vcpu


@attrs.define
class Vmm:
    """A VMM with files of this process as descriptors; ``error`` makes copying fail."""

    links: dict[int, str]
    files: dict[int, int]
    error: int = 0
    closed: bool = False
    copied: list[str] = attrs.field(factory=list)

    def copy(self, fd: int) -> int:
        """Return what pidfd_getfd would."""
        if self.error or fd not in self.files:
            raise OSError(self.error or errno.EBADF, "refused")
        self.copied.append(self.links[fd])
        return os.dup(self.files[fd])

    def close(self) -> None:
        """Note that the reader released the process."""
        self.closed = True


@attrs.define
class World:
    """A host with VMMs, and the processes that a reader opened."""

    host: Host
    vmms: dict[int, Vmm] = attrs.field(factory=dict)
    opened: list[int] = attrs.field(factory=list)
    refusing: int = 0
    files: list[int] = attrs.field(factory=list)

    def start(self, pid: int, links: Mapping[int, str], *stats: Made) -> Vmm:
        """Start a VMM that has a VM; ``stats`` are the counters of each vCPU."""
        tree = Tree(Path(self.host.root))
        tree.process(pid, fds=links)
        tree.vm(pid, 9, {0: 0, 1: 0})
        vmm = Vmm(dict(links), {fd: self.file(blob(*(stats or X64))) for fd in links})
        self.vmms[pid] = vmm
        return vmm

    def file(self, data: bytes) -> int:
        """Open a file with this content, closed when the test is over."""
        fd = os.memfd_create("stats")
        os.write(fd, data)
        self.files.append(fd)
        return fd

    def end(self, pid: int) -> None:
        """End a VMM: it leaves /proc and debugfs."""
        self.vmms.pop(pid).error = errno.ESRCH
        Tree(Path(self.host.root)).end(pid)

    def reader(self) -> VcpuStats:
        """Return a reader of this host."""
        return VcpuStats(self.host, Kernel(self.open_process, self.target))

    def open_process(self, pid: int) -> Vmm:
        """Return what pidfd_open would."""
        if self.refusing or pid not in self.vmms:
            raise OSError(self.refusing or errno.ESRCH, "no")
        self.opened.append(pid)
        return self.vmms[pid]

    def target(self, fd: int) -> str:
        """Return the target that the file behind ``fd`` has in its VMM."""
        inode = os.fstat(fd).st_ino
        for vmm in self.vmms.values():
            for number, file in vmm.files.items():
                if os.fstat(file).st_ino == inode:
                    return vmm.links[number]
        return "/somewhere/else"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "proc").mkdir()
    world = World(Host(tmp_path, "x86_64"))
    yield world
    for fd in world.files:
        os.close(fd)


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that is wanted


QEMU = {9: VM, 10: vcpu(0), 11: stats(0), 12: vcpu(1), 13: stats(1), 14: EVENT}
SILENT = {9: VM, 10: vcpu(0), 11: vcpu(1)}


def keys(pid: int, *vcpus: tuple[int, int]) -> set[Vcpu]:
    return {Vcpu(pid, number, START, fd) for number, fd in vcpus}


def test_counters_of_every_vcpu(world: World) -> None:
    world.start(100, QEMU)
    world.start(200, {9: VM, 5: vcpu(7), 6: stats(7)}, Made("exits", [5]))
    with world.reader() as reader:
        found = reader.read()
    assert found.vcpus.keys() == keys(100, (0, 11), (1, 13)) | keys(200, (7, 6))
    assert found.vcpus[Vcpu(100, 1, START, 13)] == X64_COUNTERS
    assert found.vcpus[Vcpu(200, 7, START, 6)] == {"exits": 5}
    assert found.notes == ()


def test_a_later_reading_has_later_counters(world: World) -> None:
    vmm = world.start(100, QEMU, Made("exits", [5]))
    with world.reader() as reader:
        before = reader.read()
        os.pwrite(vmm.files[11], blob(Made("exits", [9])), 0)
        after = reader.read()
    key = Vcpu(100, 0, START, 11)
    assert (before.vcpus[key]["exits"], after.vcpus[key]["exits"]) == (5, 9)
    assert after.time >= before.time
    assert after.monotonic >= before.monotonic


def test_nothing_of_a_vm_stays_open(world: World) -> None:
    """An open copy would keep the VM, and what it pins, alive after its VMM's end."""
    world.start(100, QEMU)
    reader = world.reader()
    before = open_files()
    assert reader.read().vcpus
    assert open_files() == before


def test_the_vm_is_kept_while_it_is_read(world: World) -> None:
    """Until Linux 6.5 statistics outlived their VM and were read from memory given back."""
    vmm = world.start(100, QEMU)
    with world.reader() as reader:
        reader.read()
    first, *others = vmm.copied
    assert first == VM
    assert set(others) == {stats(0), stats(1)}


def test_a_vm_with_its_descriptor_closed_is_kept_by_those_of_its_vcpus(world: World) -> None:
    links = {10: vcpu(0), 11: stats(0)}
    vmm = world.start(100, links)
    del vmm.files[10]
    with world.reader() as reader:
        assert reader.read().vcpus == {}


def test_vmms_come_and_go(world: World) -> None:
    first = world.start(100, QEMU)
    with world.reader() as reader:
        reader.read()
        world.start(200, QEMU)
        assert {key.pid for key in reader.read().vcpus} == {100, 200}
        world.end(100)
        assert {key.pid for key in reader.read().vcpus} == {200}
        assert first.closed
    assert world.vmms[200].closed
    assert world.opened == [100, 200]


def test_a_vmm_that_dies_while_it_is_read_is_dropped(world: World) -> None:
    vmm = world.start(100, QEMU)
    with world.reader() as reader:
        reader.read()
        vmm.error = errno.ESRCH
        found = reader.read()
    assert (found.vcpus, found.notes) == ({}, ())
    assert vmm.closed


def test_a_descriptor_that_became_another_file_is_not_read(world: World) -> None:
    """Reading it could block, or take data from another reader."""
    vmm = world.start(100, QEMU)
    with world.reader() as reader:
        reader.read()
        vmm.links[11], vmm.links[13] = EVENT, EVENT
        assert reader.read().vcpus == {}
        link = Path(world.host.root, "proc/100/fd/11")
        link.unlink()
        vmm.links[13] = stats(1)
        assert reader.read().vcpus.keys() == keys(100, (1, 13))


def test_a_vmm_without_statistics_is_noted(world: World) -> None:
    world.start(100, QEMU)
    for pid in range(200, 208):
        world.start(pid, SILENT)
    with world.reader() as reader:
        found = reader.read()
    assert {key.pid for key in found.vcpus} == {100}
    (note,) = found.notes
    assert note.startswith("processes 200, 201, 202, 203, 204 and 3 more: KVM's counters cannot be")
    assert "the VMM opened no statistics" in note
    assert {key for key in found.silent if key.pid == 200} == keys(200, (0, 10), (1, 11))
    assert {key.pid for key in found.silent} == set(range(200, 208))


def test_statistics_that_come_late_are_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VMM creates its vCPUs first and opens their statistics later."""
    vmm = world.start(100, {9: VM, 10: vcpu(0)})
    with world.reader() as reader:
        assert reader.read().vcpus == {}
        Path(world.host.root, "proc/100/fd/11").symlink_to(stats(0))
        vmm.links[11], vmm.files[11] = stats(0), world.file(blob(*X64))
        assert reader.read().vcpus == {}
        monkeypatch.setattr("time.monotonic", lambda: SEARCH_SECONDS + 1e9)
        found = reader.read()
    assert found.vcpus.keys() == keys(100, (0, 11))
    assert found.notes == ()


def test_one_vmm_that_refuses_is_noted(world: World) -> None:
    world.start(100, QEMU)
    world.start(200, QEMU).error = errno.EPERM
    with world.reader() as reader:
        found = reader.read()
    assert {key.pid for key in found.vcpus} == {100}
    assert found.notes == ("process 200: KVM's counters cannot be read: refused",)


def test_statistics_in_an_unknown_format_are_noted(world: World) -> None:
    world.start(100, QEMU)
    vmm = world.start(200, QEMU)
    os.ftruncate(vmm.files[11], 10)
    with world.reader() as reader:
        found = reader.read()
    assert {key.pid for key in found.vcpus} == {100}
    (note,) = found.notes
    assert note.endswith("truncated: no 24 bytes at 0")
    assert note.startswith("process 200: KVM's counters cannot be read")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EPERM, PrivilegeError),
        (errno.EACCES, PrivilegeError),
        (errno.ENOSYS, UnsupportedHostError),
    ],
)
def test_a_refusal_by_every_vmm_is_an_error(
    world: World, number: int, kind: type[KstatsError]
) -> None:
    world.start(100, QEMU)
    world.start(200, QEMU)
    world.refusing = number
    with world.reader() as reader, pytest.raises(kind):
        reader.read()


def test_a_host_without_vms_has_no_counters(world: World) -> None:
    with world.reader() as reader:
        found = reader.read()
    assert (found.vcpus, found.notes) == ({}, ())


def test_a_kernel_without_statistics(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(world.host.root, "dev").mkdir()
    Path(world.host.root, "dev/kvm").write_text("")
    assert reader.offered(world.host) is None  # not a device: ioctl fails
    monkeypatch.setattr("fcntl.ioctl", lambda *_: 0)
    assert reader.offered(world.host) is False
    with pytest.raises(UnsupportedHostError, match="KVM_CAP_BINARY_STATS_FD"):
        world.reader()
    monkeypatch.setattr("fcntl.ioctl", lambda *_: 1)
    assert reader.offered(world.host) is True


def test_a_real_copy() -> None:
    """The system calls that read VMMs, on a file of this process."""
    fd = os.memfd_create("stats")
    os.write(fd, b"counters")
    process = pidfd.Pidfd(os.getpid())
    try:
        copy = process.copy(fd)
        assert os.pread(copy, 100, 0) == b"counters"
        assert pidfd.target(copy) == "/memfd:stats (deleted)"
        os.close(copy)
        os.close(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            process.copy(fd)
    finally:
        process.close()
        process.close()


def test_a_process_that_ended_cannot_be_opened() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    process = pidfd.Pidfd(pid)
    os.waitpid(pid, 0)
    with pytest.raises(ProcessLookupError):
        process.copy(0)
    process.close()
    with pytest.raises(ProcessLookupError):
        pidfd.Pidfd(pid)
