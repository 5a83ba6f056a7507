"""Facts about a host, from /proc and /sys. What cannot be read is unknown.

Files: Documentation/admin-guide/kernel-parameters.txt, Documentation/ABI, proc(5).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from kstats.errors import KstatsError
from kstats.facts.model import HostCounters, HostFacts
from kstats.host import Host
from kstats.vms.proc import names, read, text

_LONGEST_VALUE = 64

_BOOT_OPTIONS = re.compile(
    r"(?:kvm[\w-]*\.[\w.-]+|[\w.]*max_cstate|isolcpus|nohz_full|rcu_nocbs|nosmt|mitigations|idle"
    r"|tsc|clocksource|transparent_hugepage|default_hugepagesz|hugepagesz|hugepages"
    r"|numa_balancing|skew_tick|threadirqs|irqaffinity|preempt)",
    re.ASCII,
)
"""The options that may explain exits; others may be nobody's business."""

_CPUINFO = 1 << 13
"""Bytes that hold the first CPU's entry: reading all of them takes long on large hosts."""

_NANOSECONDS = 1_000_000_000

_VMSTAT = {
    "pswpin": "swapped_in",
    "pswpout": "swapped_out",
    "numa_hint_faults": "numa_faults",
    "numa_pages_migrated": "numa_migrated",
    "thp_fault_alloc": "huge_faults",
    "thp_fault_fallback": "huge_fallbacks",
    "thp_split_page": "huge_splits",
}


def host_facts(host: Host) -> HostFacts:
    """Read the facts about ``host``: a few files for each CPU and each parameter of KVM."""
    memory = _memory(host)
    swap, free = memory.get("SwapTotal"), memory.get("SwapFree")
    pool, pool_free = _hugetlb(host)
    shared = "sys/kernel/mm/transparent_hugepage"
    ksm, balancing = host.read("sys/kernel/mm/ksm/run"), host.read("proc/sys/kernel/numa_balancing")
    return HostFacts(
        parameters=dict(_parameters(host)),
        boot_options=dict(_boot_options(host)),
        governors=_governors(host),
        smt=_switch(host.read("sys/devices/system/cpu/smt/active")),
        clocksource=host.read("sys/devices/system/clocksource/clocksource0/current_clocksource"),
        hypervisor=_hypervisor(host),
        isolated=_cpus(host.read("sys/devices/system/cpu/isolated")),
        nohz_full=_cpus(host.read("sys/devices/system/cpu/nohz_full")),
        thp=_chosen(host.read(f"{shared}/enabled")),
        shmem_thp=_chosen(host.read(f"{shared}/shmem_enabled")),
        ksm=None if ksm is None else ksm == "1",  # 2: stopped, and what was merged was unmerged
        numa_balancing=None if balancing is None else balancing != "0",
        nodes=_nodes(host),
        memory=memory.get("MemTotal"),
        memory_available=memory.get("MemAvailable"),
        swap=swap,
        swap_used=None if swap is None or free is None else max(0, swap - free),
        hugetlb=pool,
        hugetlb_free=pool_free,
        runnable=_runnable(host),
    )


def host_counters(host: Host) -> HostCounters:
    """Read what the kernel has counted since boot; ``observed`` is unknown."""
    found = dict(_times(host))
    for name in ("cpu", "memory", "io"):
        total = re.search(r"^some .*total=(\d{1,18})", host.read(f"proc/pressure/{name}") or "")
        if total:
            found[f"{name}_pressure"] = int(total[1]) * 1000
    for name, n in _numbers(host.read("proc/vmstat") or ""):
        if name in _VMSTAT:
            found[_VMSTAT[name]] = n
    return HostCounters.of(found)


def _parameters(host: Host) -> Iterator[tuple[str, str]]:
    for module in sorted(names(f"{host.root}/sys/module")):
        if module == "kvm" or module.startswith("kvm_"):
            folder = f"sys/module/{module}/parameters"
            for name in sorted(names(f"{host.root}/{folder}")):
                value = host.read(f"{folder}/{name}")
                if value is not None and len(value) <= _LONGEST_VALUE:
                    yield f"{module}.{name}", value


def _boot_options(host: Host) -> Iterator[tuple[str, str]]:
    for word in (host.read("proc/cmdline") or "").split():
        name, _, value = word.partition("=")
        if _BOOT_OPTIONS.fullmatch(name):
            yield name, value[:_LONGEST_VALUE]


def _governors(host: Host) -> Mapping[str, int]:
    try:
        cpus = host.online_cpus()
    except KstatsError:
        return {}
    folder = "sys/devices/system/cpu"
    found = (host.read(f"{folder}/cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus)
    return Counter(governor for governor in found if governor)


def _hypervisor(host: Host) -> bool | None:
    cpuinfo = text(read(f"{host.root}/proc/cpuinfo", _CPUINFO) or b"")
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    return "hypervisor" in flags[1].split() if flags else None


def _memory(host: Host) -> Mapping[str, int]:
    return {name: n << 10 for name, n in _numbers(host.read("proc/meminfo") or "")}


def _hugetlb(host: Host) -> tuple[int, int] | tuple[None, None]:
    """Return the bytes of the pools of all page sizes, and how many of them are free."""
    root, total, free = "sys/kernel/mm/hugepages", 0, 0
    sizes = [re.fullmatch(r"hugepages-(\d{1,9})kB", n) for n in names(f"{host.root}/{root}")]
    for size in filter(None, sizes):
        pages, unused = (
            _number(host.read(f"{root}/{size[0]}/{name}"))
            for name in ("nr_hugepages", "free_hugepages")
        )
        if pages is None or unused is None:
            return None, None
        total += pages * (int(size[1]) << 10)
        free += unused * (int(size[1]) << 10)
    return (total, free) if any(sizes) else (None, None)


def _nodes(host: Host) -> int | None:
    found = names(f"{host.root}/sys/devices/system/node")
    return sum(re.fullmatch(r"node\d+", name) is not None for name in found) or None


def _runnable(host: Host) -> int | None:
    found = re.search(r" (\d{1,9})/\d", host.read("proc/loadavg") or "")
    return int(found[1]) if found else None


def _times(host: Host) -> Iterator[tuple[str, int]]:
    line = re.match(r"cpu +(\d{1,18}(?: \d{1,18}){7,})", host.read("proc/stat") or "")
    if line:
        tick = _NANOSECONDS // os.sysconf("SC_CLK_TCK")
        # The time in guests, which comes after these, is part of the user's.
        user, nice, system, idle, iowait, irq, softirq, steal = (
            int(n) * tick for n in line[1].split()[:8]
        )
        yield "cpu", user + nice + system + idle + iowait + irq + softirq + steal
        yield "idle", idle + iowait
        yield "irq", irq + softirq
        yield "steal", steal


def _numbers(lines: str) -> Iterator[tuple[str, int]]:
    """Yield the names and numbers of lines such as ``MemTotal:  123 kB`` or ``pswpin 5``."""
    for found in re.finditer(r"^(\w+):? +(\d{1,18})\b", lines, re.MULTILINE | re.ASCII):
        yield found[1], int(found[2])


def _number(value: str | None) -> int | None:
    return int(value) if value and re.fullmatch(r"\d{1,18}", value, re.ASCII) else None


def _switch(value: str | None) -> bool | None:
    return {"0": False, "1": True}.get(value or "")


def _cpus(value: str | None) -> str | None:
    # The kernel prints this where the boot option was not given.
    return "" if value == "(null)" else value


def _chosen(value: str | None) -> str | None:
    """Return the word in brackets of ``always [madvise] never``."""
    found = re.search(r"\[(\w+)\]", value or "")
    return found[1] if found else None
