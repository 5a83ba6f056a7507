"""Start a Linux kernel on a PC through its PVH entry, without a boot loader.

The BIOS sets up the hardware and calls an option ROM. It reads the kernel, the initial file system
and the PVH start info from a disk and jumps to the kernel. So the emulated CPU unpacks nothing, and
there is no boot menu to wait for.

Source: xen/include/public/arch-x86/hvm/start_info.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from lab.hosts.build.run import run

LOADER = Path(__file__).with_name("loader.S")
ASSEMBLER = "x86_64-linux-gnu-as"
LINKER = "x86_64-linux-gnu-ld"

ROM_SIZE = 2048
_MAGIC = 0x336EC578
_RAM, _RESERVED, _ACPI = 1, 2, 3
_LOAD, _NOTE = 1, 4
_PHYS32_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY


@attrs.frozen
class Kernel:
    """A kernel as it is loaded into memory.

    Attributes:
        base: Physical address of `image`.
        entry: Physical address of the PVH entry.
        image: All segments, with zeros between them.
    """

    base: int
    entry: int
    image: bytes


def read_kernel(elf: bytes) -> Kernel:
    """Return the memory image of an ELF kernel.

    Raises:
        ValueError: It is not a 64-bit ELF file with a PVH entry.
    """
    if elf[:5] != b"\x7fELF\x02":
        raise ValueError("not a 64-bit ELF file")
    headers = list(_program_headers(elf))
    segments = [header for header in headers if header[0] == _LOAD]
    base = min(address for _, _, address, _ in segments)
    image = bytearray(max(address + size for _, _, address, size in segments) - base)
    for _, offset, address, size in segments:
        image[address - base : address - base + size] = elf[offset : offset + size]
    for kind, offset, _, size in headers:
        if kind == _NOTE and (entry := _find_entry(elf[offset : offset + size])):
            return Kernel(base, entry, bytes(image))
    raise ValueError("no PVH entry")


def _program_headers(elf: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield type, file offset, physical address and size in the file of each segment."""
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for number in range(count):
        fields = struct.unpack_from("<IIQQQQ", elf, table + number * size)
        yield fields[0], fields[2], fields[4], fields[5]


def _find_entry(notes: bytes) -> int | None:
    position = 0
    while position + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, position)
        name = notes[position + 12 : position + 12 + name_size]
        start = position + 12 + -(-name_size // 4) * 4
        if name == b"Xen\0" and kind == _PHYS32_ENTRY:
            return int.from_bytes(notes[start : start + size], "little")
        position = start + -(-size // 4) * 4
    return None


def memory_map(size: int) -> list[tuple[int, int, int]]:
    """Return address, size and type of a PC's memory areas, as the BIOS reports them.

    Bochs' BIOS puts the ACPI tables into the last 64 KiB.
    """
    tables = 0x10000
    return [
        (0, 0x9FC00, _RAM),
        (0x9FC00, 0x400, _RESERVED),
        (0xE8000, 0x18000, _RESERVED),
        (0x100000, size - tables - 0x100000, _RAM),
        (size - tables, tables, _ACPI),
    ]


def start_info(
    address: int, command_line: str, initrd: tuple[int, int], areas: Sequence[tuple[int, int, int]]
) -> bytes:
    """Return the structure that the kernel finds through EBX, and all that it points to.

    Args:
        address: Its physical address.
        command_line: Of the kernel.
        initrd: Physical address and size of the initial file system.
        areas: From `memory_map`.
    """
    modules = address + 56
    areas_at = modules + 32
    text_at = areas_at + 24 * len(areas)
    return (
        struct.pack("<IIIIQQQQII", _MAGIC, 1, 0, 1, modules, text_at, 0, areas_at, len(areas), 0)
        + struct.pack("<QQQQ", *initrd, 0, 0)
        + b"".join(struct.pack("<QQII", *area, 0) for area in areas)
        + command_line.encode()
        + b"\0"
    )


def option_rom(directory: Path, address: int, symbols: Mapping[str, int]) -> bytes:
    """Return an option ROM that loads and starts a kernel; see `loader.S`.

    Args:
        directory: For the files of the assembler.
        address: Physical address of the ROM.
        symbols: Values of the symbols that the source needs.

    Raises:
        BuildError: Assembling failed.
    """
    objects, binary = directory / "loader.o", directory / "loader.bin"
    defined = [word for name, value in symbols.items() for word in ("--defsym", f"{name}={value}")]
    run([ASSEMBLER, "--32", *defined, "-o", objects, LOADER], timeout=60)
    link = [LINKER, "-m", "elf_i386", "--oformat", "binary", "-Ttext", hex(address)]
    run([*link, "-o", binary, objects], timeout=60)
    rom = bytearray(binary.read_bytes().ljust(ROM_SIZE, b"\0"))
    rom[-1] = -sum(rom) % 256  # a BIOS calls it only if its bytes add up to 0
    return bytes(rom)
