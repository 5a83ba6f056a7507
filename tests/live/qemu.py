"""Run VMs of QEMU in an emulated host."""

from __future__ import annotations

import shlex
import signal
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs

from lab.hosts import Host
from lab.hosts.command import Command
from tests.live.conftest import Bed

KERNEL = "/run/kernel"

# An endless loop of firmware calls on two CPUs; the first starts the second by PSCI's CPU_ON.
_ARM64_KERNEL = (
    0xD2800063,  # mov  x3, #3
    0xD2B88000,  # mov  x0, #0xc4000000
    0xF2800060,  # movk x0, #3          CPU_ON
    0xD2800021,  # mov  x1, #1          CPU 1
    0x10000062,  # adr  x2, .+12        its first instruction
    0xD4000002,  # hvc  #0
    0xD503201F,  # nop
    0xD2B08000,  # mov  x0, #0x84000000 PSCI_VERSION
    0xD4000002,  # hvc  #0
    0x17FFFFFE,  # b    .-8
)

_MACHINES: Mapping[str, tuple[str, ...]] = {
    "svm": ("qemu-system-x86_64", "-accel", "kvm"),  # its firmware polls, on both CPUs
    "arm64": (
        *("qemu-system-aarch64", "-M", "virt,accel=kvm,gic-version=3"),
        *("-kernel", KERNEL),
    ),
}


def prepare(host: Host) -> None:
    """Copy the kernel of the VMs into the host."""
    host.put(KERNEL, struct.pack(f"<{len(_ARM64_KERNEL)}I", *_ARM64_KERNEL))


def words(bed: Bed, name: str) -> list[str]:
    """Return the command line of a VM with two vCPUs and this -name."""
    bare = ("-nodefaults", "-no-user-config", "-display", "none", "-serial", "none")
    return [*_MACHINES[bed.isa], "-cpu", "host", "-smp", "2", "-m", "64", *bare, "-name", name]


@attrs.frozen
class Qemu:
    """A running QEMU, and the host kernel's information about it."""

    host: Host
    command: Command
    pid: int

    def freeze(self) -> None:
        """Stop all its threads, so that counters do not change; wait until they have stopped."""
        self.command.signal(signal.SIGSTOP)
        states = f"cat /proc/{self.pid}/task/*/status | grep ^State"
        self.host.run(f"while {states} | grep -qv stopped; do sleep 0.1; done").check()

    def thaw(self) -> None:
        """Let its threads continue."""
        self.command.signal(signal.SIGCONT)

    def kernel_exits(self) -> int:
        """Return KVM's own count of its exits; 0 before it has a VM."""
        path = f"/sys/kernel/debug/kvm/{self.pid}-*/exits"
        return int(self.host.run(f"cat {path}").stdout or 0)

    def wait_until_both_vcpus_run(self, bed: Bed) -> None:
        """Wait for some thousand exits: on x86 the firmware has waited for the second vCPU."""
        exits = f"$(cat /sys/kernel/debug/kvm/{self.pid}-*/exits)"
        self.host.run(f"until [ {exits} -gt 3000 ]; do sleep 0.5; done").check()
        if bed.isa == "arm64":
            # Two threads that have been charged for time in a guest, see proc(5).
            times = f"cat /proc/{self.pid}/task/*/stat | sed 's/.*) //' | cut -d ' ' -f 41"
            busy = f"$({times} | grep -cvx 0)"
            self.host.run(f"until [ {busy} -ge 2 ]; do sleep 0.5; done").check()

    def vcpu_threads(self) -> dict[int, int]:
        """Return {thread: vCPU} from debugfs; empty if the kernel does not provide it."""
        script = f"cd /sys/kernel/debug/kvm/{self.pid}-*/ && grep -H . vcpu*/pid"
        lines = self.host.run(script).stdout.splitlines()
        pairs = [line.split("/pid:") for line in lines]
        return {int(tid): int(name.removeprefix("vcpu")) for name, tid in pairs}

    def thread_names(self) -> dict[int, str]:
        """Return {thread: name} of the process."""
        lines = self.host.run(f"cd /proc/{self.pid}/task && grep -H . */comm").check().stdout
        pairs = [line.split("/comm:") for line in lines.splitlines()]
        return {int(tid): name for tid, name in pairs}


@contextmanager
def running(bed: Bed, host: Host, name: str) -> Iterator[Qemu]:
    """Run a VM called ``name`` until the block ends."""
    with host.start(words(bed, name)) as command:
        yield Qemu(host, command, command.pid)


def shell_words(bed: Bed, name: str) -> str:
    """Return the command line for a shell."""
    return shlex.join(words(bed, name))
