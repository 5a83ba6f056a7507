"""Machines emulated by QEMU's TCG: virtio disks and channel, and a directly loaded kernel."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import attrs

from lab.hosts import process
from lab.hosts.machines.base import COMMAND_LINE, CONSOLE_LOG, MACHINE_LOG, Boot, Running


@attrs.frozen
class Qemu:
    """A QEMU system emulator with its machine and CPU; see `Machine` for the contract.

    Attributes:
        program: Name of the emulator.
        package: The Debian package that contains it.
        options: Its machine and CPU options.
        console: Device of the console, in the host.
        threads: How TCG runs the host's CPUs: `multi`, each in a thread of its own, or `single`,
            in turn in one thread.
        instruction_ns: Let the host's clocks count executed instructions of so many nanoseconds
            each, a power of two, and jump while it is idle, so that durations are the same on
            every machine. Needs a host with one CPU. None: the clocks are real.
        beside: Other programs and files that such hosts need, with their packages.
        kernel_options: What the kernel's command line ends with.
    """

    program: str
    package: str
    options: tuple[str, ...]
    console: str
    kvm: str
    drivers: tuple[str, ...] = (
        *("virtio_pci", "virtio_blk", "virtio_console"),
        *("crc32c_generic", "ext4"),
    )
    channel: str = "virtio:kstats"
    threads: str = "multi"
    instruction_ns: int | None = None
    beside: Mapping[str, str] = attrs.field(factory=dict)
    kernel_options: str = ""

    @property
    def needs(self) -> Mapping[str, str]:
        """Return the emulator's files, with their packages."""
        return {self.program: self.package, **self.beside}

    def __str__(self) -> str:
        return self.program

    def start(self, boot: Boot) -> Running:
        """Start QEMU."""
        ours, theirs = socket.socketpair()
        with theirs:
            words = self._words(boot, theirs.fileno())
            log = boot.directory / MACHINE_LOG
            running = process.start(words, log, pass_fds=[theirs.fileno()])
        return Running(running, ours.detach())

    def _words(self, boot: Boot, channel: int) -> list[str]:
        return [
            *(self.program, *self.options),
            *self._time(),
            *("-smp", str(boot.cpus), "-m", str(boot.memory)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-kernel", str(boot.images.kernel), "-initrd", str(boot.initrd)),
            *("-append", f"console={self.console} {COMMAND_LINE} {self.kernel_options}"),
            *("-serial", f"file:{boot.directory / CONSOLE_LOG}"),
            *("-chardev", f"socket,id=channel,fd={channel}", "-device", "virtio-serial-pci"),
            *("-device", f"virtserialport,chardev=channel,name={self.channel.partition(':')[2]}"),
            *_disk("root", str(boot.images.root)),
            *(_disk("payload", str(boot.payload)) if boot.payload else ()),
        ]

    def _time(self) -> tuple[str, ...]:
        if self.instruction_ns:
            shift = self.instruction_ns.bit_length() - 1
            return "-accel", "tcg,thread=single", "-icount", f"shift={shift},sleep=off"
        return "-accel", f"tcg,thread={self.threads}"


def _disk(name: str, path: str) -> tuple[str, ...]:
    # A comma in a path must be doubled, or QEMU treats the rest as an option.
    file = path.replace(",", ",,")
    drive = f"if=none,id={name},format=raw,readonly=on,file.locking=off,file={file}"
    return ("-drive", drive, "-device", f"virtio-blk-pci,drive={name}")
