"""Recorded hosts: the few files of /proc and /sys that kstats reads, below another root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kstats.host import Host

KVM_IN_SYSFS = "sys/devices/virtual/misc/kvm/dev"


def recorded(root: Path, files: Mapping[str, str], machine: str = "x86_64") -> Host:
    """Create a host that has ``files``, by path below its root, and nothing else."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Host(root, machine)


def cpus(online: str, possible: str | None = None) -> dict[str, str]:
    """Return the CPU lists of sysfs."""
    folder = "sys/devices/system/cpu"
    return {f"{folder}/online": f"{online}\n", f"{folder}/possible": f"{possible or online}\n"}


def topology(cpu: int, socket: int, core: int, *, die: int | None = None) -> dict[str, str]:
    """Return the files that say where a CPU is."""
    found = {"physical_package_id": socket, "core_id": core, "die_id": die}
    folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
    return {f"{folder}/{name}": f"{n}\n" for name, n in found.items() if n is not None}


def nodes(*lists: str) -> dict[str, str]:
    """Return the CPU lists of NUMA nodes."""
    return {f"sys/devices/system/node/node{n}/cpulist": f"{of}\n" for n, of in enumerate(lists)}


def modules(names: Iterable[str]) -> dict[str, str]:
    """Return the files of loaded kernel modules."""
    return {f"sys/module/{name}/refcnt": "0\n" for name in names}


def flags(*names: str, field: str = "flags") -> dict[str, str]:
    """Return a /proc/cpuinfo with these CPU features."""
    return {"proc/cpuinfo": f"processor\t: 0\n{field}\t\t: fpu {' '.join(names)} sse\n"}


def x64(root: Path, *loaded: str, cpu: str = "vmx", kvm: bool = True) -> Host:
    """Create an x86 host of four CPUs with the modules ``loaded``."""
    files = cpus("0-3") | flags(cpu) | modules(("kvm", *loaded))
    return recorded(root, files | ({KVM_IN_SYSFS: "10:232\n"} if kvm else {}))


def arm64(root: Path, *, kvm: bool = True) -> Host:
    """Create an ARM64 host of four CPUs, where KVM is a single module."""
    files = cpus("0-3") | flags("asimd", field="Features")
    return recorded(root, files | ({KVM_IN_SYSFS: "10:232\n"} if kvm else {}), "aarch64")
