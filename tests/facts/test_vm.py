"""Facts about VMs' processes and threads: of recorded trees, and of this process."""

from __future__ import annotations

import mmap
import os
import resource
import threading
from pathlib import Path

import pytest

from kstats import cpulist
from kstats.facts import vm
from kstats.facts.model import Scheduling, VcpuFacts, VmFacts
from kstats.facts.vm import VmReader
from kstats.host import Host
from tests.trees import nodes, recorded

WEB = 100
VCPU = WEB << 32 | 101

STATUS = f"""\
Name:\tqemu-system-x86
Tgid:\t{WEB}
VmLck:\t       8 kB
VmRSS:\t    2048 kB
HugetlbPages:\t 4096 kB
VmSwap:\t      12 kB
Threads:\t3
Cpus_allowed_list:\t0-3,8
"""


def stat(*, minor: int = 5, major: int = 6, policy: int = 1) -> str:
    """Return what proc(5) has of a thread; its name is made to confuse."""
    rest = "0 " * 28  # fields 13 to 40
    return f"101 (CPU 0) R/KVM) S 1 1 1 0 -1 0 {minor} 0 {major} {rest}{policy} 0\n"


def vcpu(cgroup: str = "0::/vm/web/vcpu0\n") -> dict[str, str]:
    """Return the files of the thread of a vCPU."""
    folder = f"proc/{WEB}/task/101"
    return {
        f"{folder}/stat": stat(),
        f"{folder}/status": STATUS,
        f"{folder}/schedstat": "7000 300 12\n",
        f"{folder}/cgroup": cgroup,
        f"{folder}/comm": "CPU 0/KVM\n",
    }


PROCESS = {
    f"proc/{WEB}/status": STATUS,
    f"proc/{WEB}/smaps_rollup": "0-1 ---p 00000000 00:00 0 [rollup]\nRss: 2048 kB\n"
    "AnonHugePages:  1024 kB\nShmemPmdMapped:  512 kB\nFilePmdMapped: 0 kB\nSwap: 12 kB\n",
    f"proc/{WEB}/numa_maps": "7f00 default anon=9 dirty=9 N0=8 N1=1 kernelpagesize_kB=4\n"
    "7f10 bind:1 huge anon=2 N1=2 kernelpagesize_kB=2048\n7f20 default file=/x N0=x\n",
    f"proc/{WEB}/task/100/comm": "qemu-system-x86\n",
    f"proc/{WEB}/task/102/comm": "live_migration\n",
    f"proc/{WEB}/task/103/comm": f"vhost-{WEB}\n",
    "proc/200/task/200/comm": f"vhost-{WEB}\n",
    "sys/kernel/debug/kvm/100-9/pages_4k": "3\n",
    "sys/kernel/debug/kvm/100-9/pages_2m": "2\n",
    "sys/kernel/debug/kvm/100-9/pages_1g": "0\n",
    f"proc/{WEB}/task/101/comm": "CPU 0/KVM\n",
}


def reader(root: Path, *files: dict[str, str]) -> VmReader:
    """Return a reader of a tree with these files."""
    return VmReader(recorded(root, {path: text for of in files for path, text in of.items()}))


def test_facts_of_a_process(tmp_path: Path) -> None:
    (found,) = reader(tmp_path, PROCESS, nodes("0", "1")).vms({WEB: {101}}).items()
    assert found == (
        WEB,
        VmFacts(
            resident=2048 << 10,
            swapped=12 << 10,
            locked=8 << 10,
            hugetlb=4096 << 10,
            huge=1536 << 10,
            guest_pages={"4k": 3 << 12, "2m": 2 << 21, "1g": 0},
            nodes={0: 8 << 12, 1: (1 << 12) + (2 << 21)},
            threads=3,
            vhost=2,
            migrating=True,
        ),
    )


def test_page_tables_are_walked_within_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vm, "MOST_WALKED", 3 << 20)
    other = {path.replace(f"proc/{WEB}/", "proc/300/"): text for path, text in PROCESS.items()}
    found = reader(tmp_path, PROCESS, other).vms({WEB: (), 300: ()})
    assert (found[WEB].huge, found[300].huge) == (1536 << 10, None)
    assert found[300].resident == 2048 << 10


def test_a_host_with_one_node_has_no_spread(tmp_path: Path) -> None:
    assert not reader(tmp_path, PROCESS, nodes("0-3")).vms({WEB: ()})[WEB].nodes


def test_facts_and_counters_of_a_thread(tmp_path: Path) -> None:
    limits = {
        "sys/fs/cgroup/vm/web/vcpu0/cpu.max": "max 100000\n",
        "sys/fs/cgroup/vm/web/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/vm/web/cpu.stat": "usage_usec 9\nthrottled_usec 4\n",
        "sys/fs/cgroup/vm/cpu.max": "400000 100000\n",
    }
    read = reader(tmp_path, vcpu(), limits)
    assert read.vcpus([VCPU]) == {VCPU: VcpuFacts(cpus="0-3,8", policy="fifo", quota=1500)}
    assert read.scheduling([VCPU]) == {
        VCPU: Scheduling(ran=7000, delayed=300, minor_faults=5, major_faults=6, throttled=4000)
    }


@pytest.mark.parametrize(
    "cgroup", ["", "0::/../escape\n", "4:cpu:/vm\n", "0::/none\n", "0::\n", "\0\xff"]
)
def test_no_quota_is_known_without_a_cgroup(tmp_path: Path, cgroup: str) -> None:
    outside = {"sys/fs/escape/cpu.max": "1 2\n", "sys/fs/cgroup/cpu.max": "1 2\n"}
    assert reader(tmp_path, vcpu(cgroup), outside).vcpus([VCPU])[VCPU].quota is None


@pytest.mark.parametrize("limit", ["0 0", "1", "x 1", "-1 100000", "", "9" * 99 + " 1"])
def test_a_strange_limit_is_no_quota(tmp_path: Path, limit: str) -> None:
    strange = {"sys/fs/cgroup/vm/cpu.max": limit}
    assert reader(tmp_path, vcpu(), strange).vcpus([VCPU])[VCPU].quota is None


def test_what_has_ended_has_no_facts(tmp_path: Path) -> None:
    read = reader(tmp_path)
    assert read.vms({WEB: {101}}) == {}
    assert read.vcpus([VCPU]) == {}
    assert read.scheduling([VCPU]) == {}


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\0\n", b"x (y) S\n", b"a: b\n" * 2000, b"x () " + b"x " * 60]
)
def test_garbage_is_unknown(tmp_path: Path, garbage: bytes) -> None:
    read = reader(tmp_path, PROCESS, vcpu(), nodes("0", "1"))
    for path in (*PROCESS, *vcpu()):
        (tmp_path / path).write_bytes(garbage)
    found = read.vms({WEB: {101}}).values()
    assert all(facts == VmFacts(vhost=0, migrating=False) for facts in found)
    assert set(read.vcpus([VCPU]).values()) <= {VcpuFacts()}
    assert set(read.scheduling([VCPU]).values()) <= {Scheduling()}


def test_this_process_agrees_with_the_system_calls() -> None:
    pid, tid = os.getpid(), threading.get_native_id()
    number = pid << 32 | tid
    read = VmReader(Host())
    facts, threads = read.vms({pid: {tid}})[pid], read.vcpus([number])
    assert facts.resident
    assert facts.resident > 1 << 20
    assert facts.huge is not None
    assert facts.threads == len(list(Path("/proc/self/task").iterdir()))
    assert set(cpulist.parse(threads[number].cpus or "")) == os.sched_getaffinity(0)
    assert threads[number].policy == "other"


def test_counters_of_this_thread_grow_with_its_work() -> None:
    number = os.getpid() << 32 | threading.get_native_id()
    read = VmReader(Host())
    before, pages = read.scheduling([number])[number], 512
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
    after = read.scheduling([number])[number]
    used = resource.getrusage(resource.RUSAGE_THREAD)
    assert after.minor_faults is not None
    assert before.minor_faults is not None
    assert pages <= after.minor_faults - before.minor_faults
    assert after.minor_faults <= used.ru_minflt
    while after.ran == before.ran:  # the kernel adds it up at its next tick
        after = read.scheduling([number])[number]
