"""What an exporter exports."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Settings:
    """What to export.

    Attributes:
        cpus: Entries and exits by physical CPU.
        vms: Exits by VM.
        vcpus: Exits by vCPU, in addition.
        time: Where the time of vCPUs goes.
        durations: ``category`` or ``reason``, by which durations of exits are exported; or empty.
        detail: The kind of detail to export; empty for none.
        top: Details of each VM with series of their own.
        kernel: KVM's own counters instead of those of BPF programs.
        max_vms: VMs with series of their own.
        max_name: Characters of a VM's name.
        keep_ended: Seconds for which the series of a VM stay after its end.
    """

    cpus: bool = True
    vms: bool = True
    vcpus: bool = False
    time: bool = False
    durations: str = ""
    detail: str = ""
    top: int = 10
    kernel: bool = False
    max_vms: int = 1000
    max_name: int = 128
    keep_ended: float = 300.0

    @property
    def requires(self) -> tuple[str, ...]:
        """Return what samples must contain: see :class:`kstats.recording.Header`."""
        if self.kernel:
            return ("counters",)
        wanted = {
            "entries": self.cpus,
            "exits": True,
            "threads": self.vms,
            "vcpu_time": self.time,
            "latency": bool(self.durations),
            f"{self.detail} details": bool(self.detail),
        }
        return tuple(name for name, asked in wanted.items() if asked)
