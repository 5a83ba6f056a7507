"""Facts about a host, read from /proc and /sys under a root that may be a recorded tree."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import attrs

from kstats import cpulist
from kstats.errors import UnsupportedHostError


@attrs.frozen
class Host:
    """The host whose /proc and /sys lie under ``root``; ``machine`` is its ``uname -m``."""

    root: Path = Path("/")
    machine: str = attrs.field(factory=platform.machine)

    def read(self, path: str) -> str | None:
        """The text of a file below the root, stripped; None where it is missing or unreadable."""
        return _read(self.root / path)

    def exists(self, path: str) -> bool:
        """Whether a path below the root exists; False where that may not be known."""
        try:
            return (self.root / path).exists()
        except OSError:
            return False

    def online_cpus(self) -> tuple[int, ...]:
        """The CPUs that are online now, ascending; raises UnsupportedHostError without /sys."""
        return self._cpus("online")

    def possible_cpus(self) -> tuple[int, ...]:
        """The CPUs that could ever be online: those that a per-CPU map has values for.

        Raises UnsupportedHostError without /sys. There must be no guessing here: the kernel fills
        a buffer of this many values.
        """
        return self._cpus("possible")

    def has_module(self, name: str) -> bool:
        """Whether a kernel module is loaded, or built in with parameters."""
        return self.exists(f"sys/module/{name}")

    def has_kvm(self) -> bool:
        """Whether KVM initialised. Its device in sysfs also shows where /dev is a container's."""
        return self.exists("sys/devices/virtual/misc/kvm") or self.exists("dev/kvm")

    def name(self) -> str:
        """The host's name; empty without /proc."""
        return self.read("proc/sys/kernel/hostname") or ""

    def kernel(self) -> str:
        """The kernel's release, as ``uname -r`` has it."""
        return self.read("proc/sys/kernel/osrelease") or platform.release()

    def cpu_model(self) -> str:
        """The first CPU's name; on ARM64 implementer and part, which are all that it tells."""
        known = dict(_cpuinfo(self.read("proc/cpuinfo") or ""))
        part = [known.get(name, "") for name in ("CPU implementer", "CPU part")]
        return known.get("model name") or " ".join(filter(None, part))

    def cpu_flags(self) -> frozenset[str]:
        """The first CPU's feature flags (``flags`` on x86, ``Features`` on ARM64)."""
        known = dict(_cpuinfo(self.read("proc/cpuinfo") or ""))
        return frozenset((known.get("flags") or known.get("Features") or "").split())

    def tracefs(self) -> Path | None:
        """Where tracefs is mounted, if it is and may be read."""
        for path in ("sys/kernel/tracing", "sys/kernel/debug/tracing"):
            if self.exists(f"{path}/events"):
                return self.root / path
        return None

    def event_format(self, event: str) -> str | None:
        """The format file of a tracepoint, ``group/name``; None without tracefs or the event."""
        tracefs = self.tracefs()
        return _read(tracefs / "events" / event / "format") if tracefs else None

    def lockdown(self) -> str:
        """The kernel's lockdown mode: ``none``, ``integrity``, ``confidentiality``."""
        text = self.read("sys/kernel/security/lockdown") or "[none]"
        return next((word.strip("[]") for word in text.split() if word.startswith("[")), "none")

    def _cpus(self, name: str) -> tuple[int, ...]:
        path = f"sys/devices/system/cpu/{name}"
        text = self.read(path)
        if not text:
            raise UnsupportedHostError(
                f"which CPUs this host has is not known: /{path} cannot be read",
                "mount sysfs: mount -t sysfs nodev /sys",
            )
        return cpulist.parse(text)


def _cpuinfo(text: str) -> Iterator[tuple[str, str]]:
    """What /proc/cpuinfo says of the first CPU."""
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
