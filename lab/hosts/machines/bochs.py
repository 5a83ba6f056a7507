"""Machines emulated by Bochs: an old PC with a CPU that has VMX and EPT.

Bochs has no virtio: disks are ATA, and the agent's channel is the second serial line. Our own boot
loader (`pvh`) reads the kernel and its initial file system from a third disk.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import attrs

from lab.hosts import process
from lab.hosts.build.image import CYLINDER
from lab.hosts.machines import pvh
from lab.hosts.machines.base import COMMAND_LINE, CONSOLE_LOG, MACHINE_LOG, Boot, Running

BIOS = "/usr/share/bochs/BIOS-bochs-latest"
SCREEN = f"/usr/lib/{platform.machine()}-linux-gnu/bochs/plugins/libbx_term_gui.so"
VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest"

ROM_ADDRESS = 0xD0000
READ_SIZE = 256 * 512

# Instructions per second of the host's time; Bochs runs about 30 million in a real second. A lower
# value makes an idle host, the emulated disk and the serial line faster, but the timer interrupts
# more costly.
SPEED = 20_000_000
OPTIONS = (
    # The CPU model reports a wrong frequency.
    f"tsc_early_khz={SPEED // 1000} tsc=reliable clocksource=tsc "
    # A triple fault ends Bochs; every other way to reboot would boot again.
    "reboot=t "
    # Loading KVM patches code in hundreds of places and waits for all CPUs each time: the init
    # script starts the other CPUs afterwards.
    "maxcpus=1 "
    # Bochs' MWAIT does not notice writes of other CPUs; it sleeps until the next interrupt.
    "idle=halt"
)

CONFIGURATION = """
plugin_ctrl: biosdev=0, extfpuirq=0, gameport=0, iodebug=0, parallel=0, speaker=0
display_library: term
cpu: model={model}, count={cpus}:1:1, ips={speed}, quantum=32, reset_on_triple_fault=0, \
ignore_bad_msrs=1
memory: guest={memory}, host={memory}
romimage: file={bios}
vgaromimage: file={vga_bios}
optromimage1: file="{directory}/boot.rom", address={rom:#x}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata0-master: type=disk, path="{root}", mode=volatile, journal="{directory}/root.redolog"
{payload}
ata1-master: type=disk, path="{directory}/boot.img", mode=flat
boot: disk
com1: enabled=1, mode=file, dev="{directory}/{console}"
com2: enabled=1, mode=term, dev={channel}
pci: enabled=1, chipset=i440fx
clock: sync=none, time0=utc
log: "{directory}/bochs.log"
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


@attrs.frozen
class Bochs:
    """A PC emulated by Bochs; see `Machine` for the contract."""

    model: str
    kvm: str
    drivers: tuple[str, ...] = ("ata_piix", "sd_mod", "crc32c_generic", "ext4")
    channel: str = "/dev/ttyS1"

    @property
    def needs(self) -> Mapping[str, str]:
        """Return the emulator's files, with their packages."""
        return {
            "bochs-bin": "bochs",
            SCREEN: "bochs-term",
            BIOS: "bochsbios",
            VGA_BIOS: "vgabios",
        }

    def __str__(self) -> str:
        return "bochs"

    def start(self, boot: Boot) -> Running:
        """Start Bochs."""
        self._write_boot_disk(boot)
        ours, theirs = os.openpty()
        directory = boot.directory
        (directory / "bochsrc").write_text(self._configuration(boot, os.ttyname(theirs)))
        # Debian's Bochs starts in its debugger, which waits for a command.
        (directory / "commands").write_text("c\n")
        # The text-mode display needs a terminal type, even without a terminal.
        words = ["env", "TERM=vt100", "bochs-bin", "-q"]
        words += ["-f", str(directory / "bochsrc"), "-rc", str(directory / "commands")]
        running = process.start(words, directory / MACHINE_LOG)
        # Keep a copy of the other end open: reading fails while nobody has it open.
        return Running(running, ours, (theirs,))

    def _write_boot_disk(self, boot: Boot) -> None:
        """Write the ROM, and the disk that it reads into memory."""
        kernel = pvh.read_kernel(boot.images.kernel.read_bytes())
        info_address = _round_up(kernel.base + len(kernel.image), 4096)
        initrd = boot.initrd.read_bytes()
        initrd_address = info_address + 4096
        info = pvh.start_info(
            info_address,
            f"console=ttyS0,115200 {COMMAND_LINE} {OPTIONS}",
            (initrd_address, len(initrd)),
            pvh.memory_map(boot.memory << 20),
        )
        memory = (
            kernel.image.ljust(info_address - kernel.base, b"\0") + info.ljust(4096, b"\0") + initrd
        )
        disk = boot.directory / "boot.img"
        disk.write_bytes(memory)
        os.truncate(disk, _round_up(len(memory), CYLINDER) + CYLINDER)
        symbols = {
            "LOAD_ADDRESS": kernel.base,
            "LOAD_SECTORS": _round_up(len(memory), READ_SIZE) // 512,
            "ENTRY": kernel.entry,
            "START_INFO": info_address,
        }
        rom = pvh.option_rom(boot.directory, ROM_ADDRESS, symbols)
        (boot.directory / "boot.rom").write_bytes(rom)

    def _configuration(self, boot: Boot, channel: str) -> str:
        return CONFIGURATION.format(
            model=self.model,
            speed=SPEED,
            cpus=boot.cpus,
            memory=boot.memory,
            bios=BIOS,
            vga_bios=VGA_BIOS,
            directory=boot.directory,
            rom=ROM_ADDRESS,
            root=boot.images.root,
            payload=_payload(boot.payload, boot.directory) if boot.payload else "",
            console=CONSOLE_LOG,
            channel=channel,
        )


def _payload(image: Path, directory: Path) -> str:
    return (
        f'ata0-slave: type=disk, path="{image}", mode=volatile, '
        f'journal="{directory}/payload.redolog"'
    )


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
