"""Facts about processes that run VMs, and about the threads of their vCPUs.

What cannot be read is unknown. The kernel walks the page tables of a process to find out where its
memory is, which takes 15 to 20 ms for each GiB in small pages. A reading does that for
:data:`MOST_WALKED` bytes at most.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping

from kstats.facts.cgroups import Cgroups
from kstats.facts.model import Scheduling, VcpuFacts, VmFacts
from kstats.host import Host
from kstats.vms.debugfs import Folder, KvmDebugfs
from kstats.vms.helpers import VhostThreads
from kstats.vms.proc import Proc, names, read, text

MOST_WALKED = 16 << 30

_MOST_NAMES = 512
"""Threads of a process of which the names are read."""

_SHORT, _LONG = 1 << 12, 1 << 20

_POLICIES = ("other", "fifo", "rr", "batch", "iso", "idle", "deadline", "ext")
"""By number: include/uapi/linux/sched.h."""

_MINOR_FAULTS, _MAJOR_FAULTS, _POLICY = 7, 9, 38
"""Indices of fields 10, 12 and 41 of a thread's stat, counted from field 3."""

_VHOST = re.compile(r"vhost-\d+")
_MIGRATION = re.compile(r"live_migration|mig/(?:src|dst)/.*|multifd(?:send|recv)_\d+")
"""QEMU's threads. They have names only with ``debug-threads=on``."""

_PAGE_SIZES = {"4k": 1 << 12, "2m": 1 << 21, "1g": 1 << 30}


COUNTERS = (
    "halt_attempted_poll",
    "halt_successful_poll",
    "halt_poll_invalid",
    "halt_poll_success_ns",
    "halt_poll_fail_ns",
    "halt_wait_ns",
    "halt_wakeup",
    "halt_exits",
    "signal_exits",
    "directed_yield_attempted",
    "directed_yield_successful",
    "insn_emulation",
    "insn_emulation_fail",
    "irq_window_exits",
    "nmi_window_exits",
    "l1d_flush",
    "nested_run",
    "pf_emulate",
    "pf_fast",
    "pf_fixed",
    "pf_mmio_spte_created",
    "remote_tlb_flush",
    "mmu_shadow_zapped",
    "nx_lpage_splits",
    "mmio_exit_user",
    "mmio_exit_kernel",
    "wfe_exit_stat",
    "wfi_exit_stat",
    "hvc_exit_stat",
)
"""KVM's counters of a VM that help to explain its exits; each kernel has some of them."""


class VmReader:
    """Reads facts about the processes and threads that it is asked for."""

    def __init__(self, host: Host) -> None:
        self._root = f"{host.root}/proc".replace("//", "/")
        self._proc = Proc(host.root)
        self._debugfs = KvmDebugfs(host.root, self._proc)
        self._vhost = VhostThreads(self._proc)
        self._cgroups = Cgroups(host)
        self._limits: dict[int, str] = {}
        nodes = names(f"{host.root}/sys/devices/system/node")
        self._has_nodes = sum(re.fullmatch(r"node\d+", name) is not None for name in nodes) > 1

    def vms(self, vcpus: Mapping[int, Collection[int]]) -> dict[int, VmFacts]:
        """Return the facts about processes that exist by pid, from the thread IDs of vCPUs."""
        folders = self._debugfs.refresh() or ()
        vhost = Counter(self._vhost.find().values())
        walk = MOST_WALKED
        found = {}
        for pid, tids in vcpus.items():
            status = self._status(f"{pid}")
            if not status:
                continue
            resident = _bytes(status.get("VmRSS"))
            may_walk = resident is not None and resident <= walk
            walk -= resident if resident is not None and may_walk else 0
            helpers = list(self._names(pid, tids))
            found[pid] = VmFacts(
                resident=resident,
                swapped=_bytes(status.get("VmSwap")),
                locked=_bytes(status.get("VmLck")),
                hugetlb=_bytes(status.get("HugetlbPages")),
                huge=self._huge(pid) if may_walk else None,
                guest_pages=_guest_pages(folder for folder in folders if folder.pid == pid),
                nodes=self._nodes(pid) if may_walk and self._has_nodes else {},
                threads=_number(status.get("Threads")),
                vhost=vhost[pid] + sum(map(bool, map(_VHOST.fullmatch, helpers))),
                migrating=any(map(_MIGRATION.fullmatch, helpers)),
            )
        return found

    def vcpus(self, threads: Iterable[int]) -> dict[int, VcpuFacts]:
        """Return the facts about threads that exist, by pid_tgid."""
        found = {}
        for thread in threads:
            folder = _folder(thread)
            stat = self._stat(folder)
            if not stat:
                continue
            quota = self._cgroups.quota(text(read(f"{self._root}/{folder}/cgroup", _SHORT) or b""))
            self._limits[thread] = quota.path if quota else ""
            found[thread] = VcpuFacts(
                cpus=self._status(folder).get("Cpus_allowed_list"),
                policy=_policy(stat),
                quota=quota.share if quota else None,
            )
        return found

    def counters(self, pids: Container[int]) -> dict[int, Mapping[str, int]]:
        """Return what KVM counted since VMs were created, by pid; it is in debugfs."""
        found: dict[int, Counter[str]] = {}
        for folder in self._debugfs.refresh() or ():
            if folder.pid is not None and folder.pid in pids:
                total = found.setdefault(folder.pid, Counter())
                for name in COUNTERS:
                    count = _number(read(f"{folder.path}/{name}", _SHORT))
                    if count is not None:
                        total[name] += count
        return dict(found)

    def scheduling(self, threads: Collection[int]) -> dict[int, Scheduling]:
        """Return what was counted since threads started, by pid_tgid.

        It costs two files for each, and one for each cgroup with a quota that :meth:`vcpus` found.
        """
        self._limits = {thread: self._limits.get(thread, "") for thread in threads}
        limits = set(filter(None, self._limits.values()))
        throttled = {path: self._cgroups.throttled(path) for path in limits}
        found = {}
        for thread in threads:
            folder = _folder(thread)
            stat = self._stat(folder)
            if not stat:
                continue
            times = (read(f"{self._root}/{folder}/schedstat", _SHORT) or b"").split()
            found[thread] = Scheduling(
                ran=_number(_item(times, 0)),
                delayed=_number(_item(times, 1)),
                minor_faults=_number(_item(stat, _MINOR_FAULTS)),
                major_faults=_number(_item(stat, _MAJOR_FAULTS)),
                throttled=throttled.get(self._limits[thread]),
            )
        return found

    def _status(self, folder: str) -> dict[str, str]:
        """Return the fields of a status file by name."""
        lines = text(read(f"{self._root}/{folder}/status", _SHORT) or b"").splitlines()
        fields = (line.partition(":") for line in lines)
        return {name: value.strip() for name, _, value in fields}

    def _stat(self, folder: str) -> list[bytes]:
        """Return the fields of a stat file from field 3 on; see :class:`Proc`."""
        return (read(f"{self._root}/{folder}/stat", _SHORT) or b"").rpartition(b")")[2].split()

    def _names(self, pid: int, vcpus: Collection[int]) -> Iterator[str]:
        """Yield the names of threads that run no vCPU."""
        others = [tid for tid in map(int, self._proc.threads(pid)) if tid not in vcpus]
        return (self._proc.comm(pid, tid) for tid in others[:_MOST_NAMES])

    def _huge(self, pid: int) -> int | None:
        """Return the bytes in transparent huge pages: anonymous, shared memory, and files."""
        found = text(read(f"{self._root}/{pid}/smaps_rollup", _SHORT) or b"")
        kinds = r"^(?:AnonHugePages|ShmemPmdMapped|FilePmdMapped): +(\d{1,15}) kB"
        sizes = re.findall(kinds, found, re.MULTILINE)
        return sum(map(int, sizes)) << 10 if sizes else None

    def _nodes(self, pid: int) -> Mapping[int, int]:
        """Return the bytes on each NUMA node."""
        total = Counter[int]()
        for mapping in _lines(f"{self._root}/{pid}/numa_maps"):
            size = re.search(r" kernelpagesize_kB=(\d{1,9})", mapping)
            if size:
                for node, pages in re.findall(r" N(\d{1,4})=(\d{1,15})", mapping):
                    total[int(node)] += int(pages) * (int(size[1]) << 10)
        return total


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as proc.read
            yield from file
    except OSError:
        return


def _guest_pages(folders: Iterable[Folder]) -> Mapping[str, int]:
    """Return the memory that KVM has mapped for VMs, by page size."""
    total = Counter[str]()
    for folder in folders:
        for name, size in _PAGE_SIZES.items():
            pages = _number(read(f"{folder.path}/pages_{name}", _SHORT))
            if pages is not None:
                total[name] += pages * size
    return total


def _policy(stat: list[bytes]) -> str | None:
    number = _number(_item(stat, _POLICY))
    return _POLICIES[number] if number is not None and number < len(_POLICIES) else None


def _folder(thread: int) -> str:
    return f"{thread >> 32}/task/{thread & 0xFFFF_FFFF}"


def _item(items: list[bytes], at: int) -> bytes | None:
    return items[at] if at < len(items) else None


def _bytes(value: str | None) -> int | None:
    """Return the bytes of ``123 kB``."""
    kib = _number((value or "").removesuffix(" kB"))
    return None if kib is None else kib << 10


def _number(value: str | bytes | None) -> int | None:
    raw = value if isinstance(value, str) else text(value or b"")
    return int(raw) if re.fullmatch(r"\d{1,18}", raw.strip(), re.ASCII) else None
