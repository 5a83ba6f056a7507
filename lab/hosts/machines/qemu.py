"""Machines emulated by QEMU's TCG: disks and channel are virtio, the kernel is loaded directly."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import attrs

from lab.hosts import process
from lab.hosts.machines.base import COMMAND_LINE, CONSOLE_LOG, MACHINE_LOG, Boot, Running

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Qemu:
    """A QEMU system emulator with its machine and CPU; see `Machine` for the contract.

    With `counts_instructions` the host's clocks count the instructions it executes, and jump while
    it has nothing to do: what takes how long is the same each time, on whatever machine. That takes
    a single CPU.
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
    counts_instructions: bool = False
    beside: Mapping[str, str] = attrs.field(factory=dict)
    """Other programs and files that such hosts need, and their packages."""

    @property
    def needs(self) -> Mapping[str, str]:
        """Return what the emulator consists of, and the package that brings it."""
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
            *("-append", f"console={self.console} {COMMAND_LINE}"),
            *("-serial", f"file:{boot.directory / CONSOLE_LOG}"),
            *("-chardev", f"socket,id=channel,fd={channel}", "-device", "virtio-serial-pci"),
            *("-device", f"virtserialport,chardev=channel,name={self.channel.partition(':')[2]}"),
            *_disk("root", str(boot.images.root)),
            *(_disk("payload", str(boot.payload)) if boot.payload else ()),
        ]

    def _time(self) -> tuple[str, ...]:
        if self.counts_instructions:
            return "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"
        return "-accel", "tcg,thread=multi"


def _disk(name: str, path: str) -> tuple[str, ...]:
    # A comma in a path is doubled, or QEMU takes the rest for an option.
    file = path.replace(",", ",,")
    drive = f"if=none,id={name},format=raw,readonly=on,file.locking=off,file={file}"
    return ("-drive", drive, "-device", f"virtio-blk-pci,drive={name}")
