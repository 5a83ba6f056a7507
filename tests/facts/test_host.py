"""Facts about a host: of recorded and damaged trees, and of this machine."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kstats.facts.host import host_counters, host_facts
from kstats.facts.model import HostCounters, HostFacts
from kstats.host import Host
from tests.trees import cpus, nodes, recorded

CPU = "sys/devices/system/cpu"
MM = "sys/kernel/mm"

FILES = {
    **cpus("0-1"),
    **nodes("0", "1"),
    "sys/module/kvm/parameters/halt_poll_ns": "200000\n",
    "sys/module/kvm_intel/parameters/ple_gap": "128\n",
    "sys/module/kvm_intel/parameters/enable_apicv": "Y\n",
    "sys/module/kvm_intel/parameters/strange": f"{'x' * 65}\n",
    "sys/module/kvmfr/parameters/static_size_mb": "64\n",
    "sys/module/ext4/parameters/x": "1\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz secret=1 isolcpus=2-3 nosmt kvm-arm.mode=nvhe\n",
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu hypervisor vmx\n\nprocessor\t: 1\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/smt/active": "1\n",
    f"{CPU}/isolated": "2-3\n",
    f"{CPU}/nohz_full": "  (null)\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
    f"{MM}/transparent_hugepage/enabled": "always [madvise] never\n",
    f"{MM}/transparent_hugepage/shmem_enabled": "always within_size advise [never] deny force\n",
    f"{MM}/ksm/run": "2\n",
    f"{MM}/hugepages/hugepages-2048kB/nr_hugepages": "10\n",
    f"{MM}/hugepages/hugepages-2048kB/free_hugepages": "4\n",
    f"{MM}/hugepages/hugepages-1048576kB/nr_hugepages": "1\n",
    f"{MM}/hugepages/hugepages-1048576kB/free_hugepages": "0\n",
    "proc/sys/kernel/numa_balancing": "1\n",
    "proc/loadavg": "0.10 0.20 0.30 5/1234 4321\n",
    "proc/meminfo": "MemTotal:  1000 kB\nMemAvailable: 400 kB\nSwapTotal: 100 kB\nSwapFree: 70 kB\n"
    "HugePages_Total:      10\n",
    "proc/stat": "cpu  10 20 30 40 50 60 70 80 5 6\ncpu0 1 2 3 4 5 6 7 8 0 0\n",
    "proc/pressure/cpu": "some avg10=0.00 avg60=0.45 avg300=11.49 total=17\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n",
    "proc/vmstat": "nr_free_pages 4\npswpin 1\npswpout 2\nthp_split_page 3\nnuma_hint_faults 4\n",
}

TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

A_FEW = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_facts_of_a_recorded_host(tmp_path: Path) -> None:
    assert host_facts(recorded(tmp_path, FILES)) == HostFacts(
        parameters={
            "kvm.halt_poll_ns": "200000",
            "kvm_intel.ple_gap": "128",
            "kvm_intel.enable_apicv": "Y",
        },
        boot_options={"isolcpus": "2-3", "nosmt": "", "kvm-arm.mode": "nvhe"},
        governors={"powersave": 1, "performance": 1},
        smt=True,
        clocksource="hpet",
        hypervisor=True,
        isolated="2-3",
        nohz_full="",
        thp="madvise",
        shmem_thp="never",
        ksm=False,
        numa_balancing=True,
        nodes=2,
        memory=1000 << 10,
        memory_available=400 << 10,
        swap=100 << 10,
        swap_used=30 << 10,
        hugetlb=(20 << 20) + (1 << 30),
        hugetlb_free=8 << 20,
        runnable=5,
    )


def test_counters_of_a_recorded_host(tmp_path: Path) -> None:
    assert host_counters(recorded(tmp_path, FILES)) == HostCounters(
        cpu=360 * TICK,
        idle=90 * TICK,
        irq=130 * TICK,
        steal=80 * TICK,
        cpu_pressure=17_000,
        swapped_in=1,
        swapped_out=2,
        numa_faults=4,
        huge_splits=3,
    )


def test_nothing_is_known_of_a_host_without_files(tmp_path: Path) -> None:
    assert host_facts(Host(tmp_path)) == HostFacts()
    assert host_counters(Host(tmp_path)) == HostCounters()


def test_a_cpu_without_flags_does_not_say_whether_it_is_virtual(tmp_path: Path) -> None:
    host = recorded(tmp_path, {"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n"})
    assert host_facts(host).hypervisor is None


@A_FEW
@given(path=st.sampled_from(sorted(FILES)), content=st.binary(max_size=60))
def test_a_damaged_file_hides_its_own_facts_only(tmp_path: Path, path: str, content: bytes) -> None:
    host = recorded(tmp_path, FILES)
    before = host_facts(host).flat() | host_counters(host).flat()
    (tmp_path / path).write_bytes(content)
    after = host_facts(host).flat() | host_counters(host).flat()
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    allowed = MADE_FROM.get(Path(path).name, "").split()
    assert {name.partition(".")[0] for name in changed} <= set(allowed)


MADE_FROM = {
    "online": "governors",
    "halt_poll_ns": "parameters",
    "ple_gap": "parameters",
    "enable_apicv": "parameters",
    "strange": "parameters",
    "cmdline": "boot_options",
    "cpuinfo": "hypervisor",
    "scaling_governor": "governors",
    "active": "smt",
    "isolated": "isolated",
    "nohz_full": "nohz_full",
    "current_clocksource": "clocksource",
    "enabled": "thp",
    "shmem_enabled": "shmem_thp",
    "run": "ksm",
    "nr_hugepages": "hugetlb hugetlb_free",
    "free_hugepages": "hugetlb hugetlb_free",
    "numa_balancing": "numa_balancing",
    "loadavg": "runnable",
    "meminfo": "memory memory_available swap swap_used",
    "stat": "cpu idle irq steal",
    "cpu": "cpu_pressure",
    "vmstat": "swapped_in swapped_out numa_faults huge_splits",
}
"""The facts in each file, by its name."""


def test_unreadable_files_are_unknown(tmp_path: Path) -> None:
    host = recorded(tmp_path, FILES)
    for path in FILES:
        (tmp_path / path).unlink()
        (tmp_path / path).mkdir()  # root may read any file, but not a directory
    known = {name for name, value in attrs.asdict(host_facts(host)).items() if value}
    assert known == {"nodes"}
    assert host_counters(host) == HostCounters()


def test_this_machine_agrees_with_its_c_library() -> None:
    facts, counters = host_facts(Host()), host_counters(Host())
    assert facts.memory == os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    assert facts.runnable
    assert counters.cpu
    assert counters.idle is not None
    assert counters.idle <= counters.cpu
