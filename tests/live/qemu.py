"""VMs of a real QEMU in an emulated host: a VMM that is not ours, with guests nobody planned."""

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

# Two CPUs that call the firmware without end: the first starts the second by PSCI's CPU_ON.
_ARM64_KERNEL = (
    0xD2800063,  # mov  x3, #3
    0xD2B88000,  # mov  x0, #0xc4000000
    0xF2800060,  # movk x0, #3          CPU_ON
    0xD2800021,  # mov  x1, #1          CPU 1
    0x10000062,  # adr  x2, .+12        begins below
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
    """Puts into the host what its VMs start with."""
    host.put(KERNEL, struct.pack(f"<{len(_ARM64_KERNEL)}I", *_ARM64_KERNEL))


def words(bed: Bed, name: str) -> list[str]:
    """The command line of a VM of two vCPUs that is called ``name``, as -name takes it."""
    bare = ("-nodefaults", "-no-user-config", "-display", "none", "-serial", "none")
    return [*_MACHINES[bed.isa], "-cpu", "host", "-smp", "2", "-m", "64", *bare, "-name", name]


@attrs.frozen
class Qemu:
    """A running QEMU, and what the host's kernel tells of it."""

    host: Host
    command: Command
    pid: int

    def freeze(self) -> None:
        """Keeps its vCPUs from running, so that counters stand still."""
        self.command.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets them run on."""
        self.command.signal(signal.SIGCONT)

    def kernel_exits(self) -> int:
        """The exits of all its vCPUs as KVM itself counts them; 0 before it has a VM."""
        path = f"/sys/kernel/debug/kvm/{self.pid}-*/exits"
        return int(self.host.run(f"cat {path}").stdout or 0)

    def vcpu_threads(self) -> dict[int, int]:
        """{thread: vCPU} as the kernel tells; empty where it does not."""
        script = f"cd /sys/kernel/debug/kvm/{self.pid}-*/ && grep -H . vcpu*/pid"
        lines = self.host.run(script).stdout.splitlines()
        pairs = [line.split("/pid:") for line in lines]
        return {int(tid): int(name.removeprefix("vcpu")) for name, tid in pairs}

    def thread_names(self) -> dict[int, str]:
        """{thread: name} of the whole process."""
        lines = self.host.run(f"cd /proc/{self.pid}/task && grep -H . */comm").check().stdout
        pairs = [line.split("/comm:") for line in lines.splitlines()]
        return {int(tid): name for tid, name in pairs}


@contextmanager
def running(bed: Bed, host: Host, name: str) -> Iterator[Qemu]:
    """Runs a VM called ``name`` for the block."""
    with host.start(words(bed, name), timeout=600) as command:
        yield Qemu(host, command, command.pid)


def shell_words(bed: Bed, name: str) -> str:
    """The same for a shell."""
    return shlex.join(words(bed, name))
