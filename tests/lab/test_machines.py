"""Test how machines are started: command lines, boot data, initial files."""

from __future__ import annotations

import io
import shlex
import struct
from pathlib import Path

import attrs
import pytest

from lab.hosts import find, initrd
from lab.hosts.machines import ARM64_EL2, X64_SVM, X64_VMX, Boot, Images, Qemu, pvh

NOTE = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x1000850)
OTHER_NOTE = struct.pack("<III8sI", 5, 4, 18, b"Linux\0\0\0", 0x666)


def boot(payload: Path | None = None) -> Boot:
    parts = Images(Path("root,1.img"), Path("busybox"), Path("kernel"), Path("modules"))
    return Boot(parts, Path("initrd"), payload, 2, 1024, Path("/run/dir"))


def elf(*notes: bytes) -> bytes:
    """Return an ELF file with two segments, 8 bytes apart, and notes."""
    note, texts = b"".join(notes), (b"first...", b"second")
    headers = [
        struct.pack("<IIQQQQQQ", 1, 0, 0x200, 0, 0x1000000, 8, 8, 8),
        struct.pack("<IIQQQQQQ", 1, 0, 0x208, 0, 0x1000010, 6, 6, 8),
        struct.pack("<IIQQQQQQ", 4, 0, 0x300, 0, 0, len(note), len(note), 4),
    ]
    start = b"\x7fELF\x02".ljust(32, b"\0") + struct.pack("<Q", 64) + bytes(14)
    start += struct.pack("<HH", 56, len(headers))
    file = start.ljust(64, b"\0") + b"".join(headers)
    return file.ljust(0x200, b"\0") + b"".join(texts).ljust(0x100, b"\0") + note


def read_cpio(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Return mode and contents of the entries of an archive."""
    found, position = {}, 0
    while data[position : position + 6] == b"070701":
        fields = [int(data[position + 6 + 8 * n : position + 14 + 8 * n], 16) for n in range(13)]
        name_at = position + 110
        data_at = -(-(name_at + fields[11]) // 4) * 4
        name = data[name_at : name_at + fields[11] - 1].decode()
        found[name] = fields[1], data[data_at : data_at + fields[6]]
        position = -(-(data_at + fields[6]) // 4) * 4
    return found


@pytest.mark.parametrize("machine", [ARM64_EL2, X64_SVM])
def test_qemus_disks_are_read_only(machine: Qemu) -> None:
    words = machine._words(boot(Path("payload.img")), 7)
    drives = [word for word in words if word.startswith("if=none")]
    assert len(drives) == 2
    assert all("readonly=on" in drive for drive in drives)
    assert drives[0].endswith("file=root,,1.img")
    assert "socket,id=channel,fd=7" in words
    assert "-no-reboot" in words


@pytest.mark.parametrize("machine", [ARM64_EL2, X64_SVM])
def test_counting_instructions_changes_only_the_clock_and_the_threads(machine: Qemu) -> None:
    words, others = (attrs.evolve(machine, instruction_ns=ns)._words(boot(), 7) for ns in (4, None))
    assert words[words.index("-icount") + 1] == "shift=2,sleep=off"
    added = {"-icount", "shift=2,sleep=off", "tcg,thread=single"}
    assert set(words) - set(others) == added - {f"tcg,thread={machine.threads}"}
    assert set(others) - set(words) == {f"tcg,thread={machine.threads}"} - added


def test_cpus_of_an_x86_host_share_a_thread() -> None:
    """With a thread for each, the host does not survive patches of its own code."""
    assert "tcg,thread=single" in X64_SVM._words(boot(), 7)


def test_without_a_payload_there_is_one_disk() -> None:
    assert sum(word.startswith("if=none") for word in X64_SVM._words(boot(), 7)) == 1


def test_bochs_never_writes_to_the_images() -> None:
    text = X64_VMX._configuration(boot(Path("payload.img")), "/dev/pts/9")
    disks = [line for line in text.splitlines() if line.startswith(("ata0-m", "ata0-s"))]
    assert len(disks) == 2
    assert all("mode=volatile" in disk and 'journal="/run/dir/' in disk for disk in disks)
    assert "com2: enabled=1, mode=term, dev=/dev/pts/9" in text


def test_a_kernel_is_loaded_by_its_program_headers() -> None:
    kernel = pvh.read_kernel(elf(OTHER_NOTE, NOTE))
    assert (kernel.base, kernel.entry) == (0x1000000, 0x1000850)
    assert kernel.image == b"first...\0\0\0\0\0\0\0\0second"


@pytest.mark.parametrize(
    ("file", "why"), [(b"MZ", "not a 64-bit ELF"), (elf(OTHER_NOTE), "no PVH entry")]
)
def test_a_kernel_without_pvh_entry_is_refused(file: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pvh.read_kernel(file)


def test_start_info_points_to_what_follows_it() -> None:
    address, areas = 0x5000000, pvh.memory_map(1 << 30)
    info = pvh.start_info(address, "some words", (0x6000000, 123), areas)
    magic, version, _, modules, module_at, text_at, _, areas_at, count, _ = struct.unpack_from(
        "<IIIIQQQQII", info
    )
    assert (magic, version, modules, count) == (0x336EC578, 1, 1, len(areas))
    assert struct.unpack_from("<QQ", info, module_at - address) == (0x6000000, 123)
    assert info[text_at - address :] == b"some words\0"
    for number, area in enumerate(areas):
        assert struct.unpack_from("<QQI", info, areas_at - address + 24 * number) == area


def test_the_memory_map_is_complete_and_has_no_overlaps() -> None:
    areas = pvh.memory_map(1 << 30)
    ends = [start + size for start, size, _ in areas]
    assert all(end <= start for end, (start, _, _) in zip(ends, areas[1:], strict=False))
    assert ends[-1] == 1 << 30


def test_a_rom_has_the_signature_and_checksum_of_the_bios(tmp_path: Path) -> None:
    symbols = {"LOAD_ADDRESS": 0x1000000, "LOAD_SECTORS": 512, "ENTRY": 0x1000850}
    rom = pvh.option_rom(tmp_path, 0xD0000, {**symbols, "START_INFO": 0x5000000})
    assert rom[:2] == b"\x55\xaa"
    assert len(rom) == rom[2] * 512
    assert sum(rom) % 256 == 0


def test_the_initial_file_system_has_all_that_init_needs(tmp_path: Path) -> None:
    modules = tmp_path / "modules/lib/modules/6.1"
    modules.mkdir(parents=True)
    (modules / "kvm.ko").write_bytes(b"module")
    (tmp_path / "busybox").write_bytes(b"odd")
    parts = Images(Path(), tmp_path / "busybox", Path(), tmp_path / "modules")
    initrd.write_initrd(tmp_path / "initrd", find("vmx"), parts, payload=True)
    files = read_cpio((tmp_path / "initrd").read_bytes())
    assert list(files)[-1] == "TRAILER!!!"
    assert files["bin/busybox"] == (0o100755, b"odd")
    assert files["bin/sh"] == (0o120777, b"busybox")
    assert files["lib/modules/6.1"] == (0o040755, b"")
    assert files["lib/modules/6.1/kvm.ko"][1] == b"module"
    assert files["init"][1].startswith(b"#!/bin/busybox sh\n")
    values = dict(word.split("=", 1) for word in shlex.split(files["host.conf"][1].decode()))
    assert values["NAME"] == "vmx"
    assert values["KVM"] == "kvm_intel"
    assert values["CHANNEL"] == "/dev/ttyS1"
    assert values["PAYLOAD"] == "yes"


def test_numbers_in_archives_are_hexadecimal() -> None:
    file = io.BytesIO()
    initrd._Archive(file).add("name", 0o100644, bytes(0xABC))
    assert file.getvalue()[54:62] == b"00000ABC"
