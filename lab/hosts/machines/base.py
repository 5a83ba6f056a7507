"""The interface of emulated machines."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import attrs

CONSOLE_LOG = "console.log"
MACHINE_LOG = "machine.log"

COMMAND_LINE = (
    # Every kernel error ends the machine at once, and the harness notices that.
    "panic=-1 oops=panic quiet "
    # Save time: none of this is of use in a host that lives for minutes.
    "nokaslr mitigations=off init_on_alloc=0 rodata=off cryptomgr.notests audit=0 apparmor=0 "
    "selinux=0 i8042.noaux i8042.nokbd"
)


@attrs.frozen
class Images:
    """Paths of the parts that a host boots from; all are read-only.

    Attributes:
        root: Disk image of the root file system.
        busybox: A static one of the host's architecture.
        kernel: What the machine starts: an ELF file for amd64, else the image as distributed.
        modules: Directory with the kernel's `lib/modules`.
    """

    root: Path
    busybox: Path
    kernel: Path
    modules: Path


@attrs.frozen
class Boot:
    """One start of a host.

    Attributes:
        images: The cached parts.
        initrd: The initial file system of this start.
        payload: Disk image, or None.
        cpus: Number of physical CPUs.
        memory: In MiB.
        directory: For files of this start: the console log, the machine log and others.
    """

    images: Images
    initrd: Path
    payload: Path | None
    cpus: int
    memory: int
    directory: Path


@attrs.frozen
class Running:
    """A started machine.

    Attributes:
        process: The emulator.
        channel: File descriptor of our end of the agent's channel; the caller closes it.
        held: Others that must stay open as long; the caller closes them, too.
    """

    process: subprocess.Popen[bytes]
    channel: int
    held: tuple[int, ...] = ()


class Machine(Protocol):
    """An emulated machine; its attributes are properties, so that frozen values can have them."""

    @property
    def kvm(self) -> str:
        """The KVM module for its CPU; it may be built into the kernel."""

    @property
    def drivers(self) -> tuple[str, ...]:
        """Kernel modules for the disks and the channel."""

    @property
    def channel(self) -> str:
        """Device of the agent's channel, as the agent takes it on its command line."""

    @property
    def needs(self) -> Mapping[str, str]:
        """The programs and files (absolute paths) of the emulator, with their packages."""

    def start(self, boot: Boot) -> Running:
        """Start the emulator; it is killed when the calling thread ends."""
