"""What every machine takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from lab.hosts.images import Images

CONSOLE_LOG = "console.log"
MACHINE_LOG = "machine.log"

COMMAND_LINE = (
    # Whatever is wrong with the kernel ends the machine at once, which the harness notices.
    "panic=-1 oops=panic quiet "
    # And no time goes into what a machine that lives for minutes cannot profit from.
    "nokaslr mitigations=off init_on_alloc=0 rodata=off cryptomgr.notests audit=0 apparmor=0 "
    "selinux=0 i8042.noaux i8042.nokbd"
)


@attrs.frozen
class Boot:
    """One start of a host.

    Attributes:
        images: The parts built ahead.
        initrd: Path of the initial file system, made for this start.
        payload: Disk image, or None.
        cpus: Physical CPUs of the host.
        memory: In MiB.
        directory: Of this start alone: console log, machine log and what else the machine needs.
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
        channel: File descriptor of our end of the agent's channel; the caller's to close.
        held: Others that have to stay open as long, and are the caller's to close, too.
    """

    process: subprocess.Popen[bytes]
    channel: int
    held: tuple[int, ...] = ()


class Machine(Protocol):
    """What emulates a host.

    Attributes:
        kvm: Kernel module that brings KVM to life on this CPU; may be built in.
        drivers: Kernel modules for disks and channel.
        channel: Device of the agent's channel, as the agent's argument says it.
        needs: Programs and files (absolute paths) the emulator consists of, with their packages.
    """

    # Properties, for a frozen value has no attributes to assign to.
    @property
    def kvm(self) -> str: ...  # noqa: D102 - above
    @property
    def drivers(self) -> tuple[str, ...]: ...  # noqa: D102 - above
    @property
    def channel(self) -> str: ...  # noqa: D102 - above
    @property
    def needs(self) -> Mapping[str, str]: ...  # noqa: D102 - above

    def start(self, boot: Boot) -> Running:
        """Start the emulator; it is killed with the thread that called this."""
        ...
