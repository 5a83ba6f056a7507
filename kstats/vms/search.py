"""Finding VMs where debugfs does not list them: among all processes."""

from __future__ import annotations

from kstats.vms.naming import find_vmm, vcpu_number
from kstats.vms.proc import Proc


class Search:
    """Looks at each process once: when it has been there for two looks, so that it is settled.

    A process is a VM's if it has one open (which takes privileges to see), or if it is a known
    VMM with a vCPU's thread. A VMM that has no VM yet is looked at every time: Firecracker and
    Cloud Hypervisor wait for orders first. Anything else that gets a VM late is not found.
    """

    def __init__(self, proc: Proc) -> None:
        self._proc = proc
        self._listed: dict[str, int] = {}
        self._settled: dict[str, int] = {}
        self._waiting: set[int] = set()

    def refresh(self) -> set[int]:
        """The processes that run VMs and were not known to, by pid."""
        now = self._proc.processes()
        settled = dict(now.items() & (self._listed or now).items())
        fresh = {int(name) for name, _ in settled.items() - self._settled.items()}
        self._listed, self._settled = now, settled
        self._waiting = {pid for pid in self._waiting if str(pid) in now}
        return {pid for pid in fresh | self._waiting if self._runs_vm(pid)}

    def _runs_vm(self, pid: int) -> bool:
        self._waiting.discard(pid)
        if self._proc.holds_vm(pid):
            return True
        if find_vmm(self._proc, pid) is None:
            return False
        names = (self._proc.comm(pid, int(tid)) for tid in self._proc.threads(pid))
        if any(vcpu_number(name) is not None for name in names):
            return True
        self._waiting.add(pid)
        return False
