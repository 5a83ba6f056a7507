"""Facts about a host from /proc and /sys, below a root that tests replace with a recorded tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import attrs

from kstats import cpulist
from kstats.errors import UnsupportedHostError
from kstats.topology import UNKNOWN, CpuTopology


def _below(root: str | os.PathLike[str]) -> str:
    """Return what to put before a path and a slash: nothing for the root of this system."""
    return os.fspath(root).rstrip("/")


def _machine() -> str:
    return os.uname().machine


@attrs.frozen
class Host:
    """A host with its /proc and /sys below ``root``; ``machine`` is its ``uname -m``.

    Paths are strings: importing pathlib takes a tenth of a start.
    """

    root: str = attrs.field(default="/", converter=_below)
    machine: str = attrs.field(factory=_machine)

    def read(self, path: str) -> str | None:
        """Return the text of a file below the root, stripped; None if it cannot be read."""
        return _read(f"{self.root}/{path}")

    def exists(self, path: str) -> bool:
        """Return whether a path below the root exists; False without permission to find out."""
        return os.path.exists(f"{self.root}/{path}")  # noqa: PTH110 - see above

    def online_cpus(self) -> tuple[int, ...]:
        """Return the online CPUs, ascending; raise UnsupportedHostError without /sys."""
        return self._cpus("online")

    def possible_cpus(self) -> tuple[int, ...]:
        """Return the CPUs that can ever be online: a per-CPU map has a value for each of them.

        There is no fallback: the kernel writes this many values into a buffer.

        Raises:
            UnsupportedHostError: there is no /sys.
        """
        return self._cpus("possible")

    def topology(self, cpus: tuple[int, ...]) -> Mapping[int, CpuTopology]:
        """Return the location of each of ``cpus``; sysfs is read once per set of CPUs."""
        return _topology(self, cpus)

    def has_module(self, name: str) -> bool:
        """Return whether a kernel module is loaded, or built in with parameters."""
        return self.exists(f"sys/module/{name}")

    def has_kvm(self) -> bool:
        """Return whether KVM is initialized. A container's /dev may lack its device."""
        return self.exists("sys/devices/virtual/misc/kvm") or self.exists("dev/kvm")

    def name(self) -> str:
        """Return the host's name; empty without /proc."""
        return self.read("proc/sys/kernel/hostname") or ""

    def kernel(self) -> str:
        """Return the kernel's release, as ``uname -r`` prints it."""
        return self.read("proc/sys/kernel/osrelease") or os.uname().release

    def cpu_model(self) -> str:
        """Return the first CPU's model name; on ARM64, which has none, its implementer and part."""
        known = dict(_cpuinfo(self.read("proc/cpuinfo") or ""))
        part = [known.get(name, "") for name in ("CPU implementer", "CPU part")]
        return known.get("model name") or " ".join(filter(None, part))

    def cpu_flags(self) -> frozenset[str]:
        """Return the first CPU's feature flags (``flags`` on x86, ``Features`` on ARM64)."""
        known = dict(_cpuinfo(self.read("proc/cpuinfo") or ""))
        return frozenset((known.get("flags") or known.get("Features") or "").split())

    def tracefs(self) -> str | None:
        """Return where tracefs is mounted; None if it is not mounted or not readable."""
        for path in ("sys/kernel/tracing", "sys/kernel/debug/tracing"):
            if self.exists(f"{path}/events"):
                return f"{self.root}/{path}"
        return None

    def event_format(self, event: str) -> str | None:
        """Return the format file of a tracepoint, ``group/name``; None if it does not exist."""
        tracefs = self.tracefs()
        return _read(f"{tracefs}/events/{event}/format") if tracefs else None

    def lockdown(self) -> str:
        """Return the kernel's lockdown mode: ``none``, ``integrity`` or ``confidentiality``."""
        text = self.read("sys/kernel/security/lockdown") or "[none]"
        return next((word.strip("[]") for word in text.split() if word.startswith("[")), "none")

    def _cpus(self, name: str) -> tuple[int, ...]:
        path = f"sys/devices/system/cpu/{name}"
        text = self.read(path)
        if not text:
            raise UnsupportedHostError(
                f"cannot read /{path}, which lists the CPUs",
                "mount sysfs: mount -t sysfs nodev /sys",
            )
        return cpulist.parse(text)


@lru_cache(maxsize=4)
def _topology(host: Host, cpus: tuple[int, ...]) -> Mapping[int, CpuTopology]:
    nodes = dict(_nodes(host))
    return {cpu: _cpu_topology(host, cpu, nodes) for cpu in cpus}


def _nodes(host: Host) -> Iterator[tuple[int, int]]:
    """Yield pairs of a CPU and its NUMA node."""
    folder = f"{host.root}/sys/devices/system/node"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():  # noqa: PTH112, PTH208
        number = name.removeprefix("node")
        # A node may have memory and no CPUs.
        text = _read(f"{folder}/{name}/cpulist") if number.isdecimal() else None
        for cpu in cpulist.parse(text) if text else ():
            yield cpu, int(number)


def _cpu_topology(host: Host, cpu: int, nodes: Mapping[int, int]) -> CpuTopology:
    folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
    socket, die, core = (
        _number(host.read(f"{folder}/{name}"))
        for name in ("physical_package_id", "die_id", "core_id")
    )
    # A kernel without NUMA lists no nodes; all CPUs are on node 0.
    return CpuTopology(nodes.get(cpu, UNKNOWN) if nodes else 0, socket, die, core)


def _number(text: str | None) -> int:
    """Parse a number from sysfs; -1 if it is unknown, which the kernel also writes as -1."""
    return int(text) if text and re.fullmatch(r"\d{1,9}", text, re.ASCII) else UNKNOWN


def _cpuinfo(text: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of the first CPU in /proc/cpuinfo."""
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - see above
            return file.read().strip()
    except OSError:
        return None
