"""The initial file system, written for each start: a few megabytes, a few milliseconds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lab.hosts.machines import Images
from lab.hosts.recipes import Recipe

GUEST = Path(__file__).with_name("guest")
DIRECTORIES = ("bin", "dev", "proc", "root", "sys")

_DIRECTORY, _FILE, _LINK = 0o040755, 0o100755, 0o120777


class _Archive:
    """A cpio archive in the kernel's format, "newc"."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inode = 0

    def add(self, name: str, mode: int, data: bytes = b"") -> None:
        self._inode += 1
        raw = name.encode() + b"\0"
        # inode mode uid gid links mtime size, device of file and special file, name size, checksum
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._file.write(_padded(header + raw) + _padded(data))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _configuration(recipe: Recipe, *, payload: bool) -> str:
    machine = recipe.machine
    values = {
        "NAME": recipe.name,
        "KVM": machine.kvm,
        "DRIVERS": " ".join(machine.drivers),
        "PAYLOAD": "yes" if payload else "",
        "CHANNEL": machine.channel,
        "SYSTEMD": "yes" if recipe.systemd else "",
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _tree(top: Path) -> Iterator[tuple[str, int, bytes]]:
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if path.is_dir():
            yield name, _DIRECTORY, b""
        else:
            yield name, _FILE, path.read_bytes()


def write_initrd(target: Path, recipe: Recipe, images: Images, *, payload: bool) -> None:
    """Write the initial file system: busybox, kernel modules, the init script and the agent."""
    with target.open("wb") as file:
        archive = _Archive(file)
        for name in DIRECTORIES:
            archive.add(name, _DIRECTORY)
        archive.add("bin/busybox", _FILE, images.busybox.read_bytes())
        archive.add("bin/sh", _LINK, b"busybox")
        for entry in _tree(images.modules):
            archive.add(*entry)
        archive.add("host.conf", _FILE, _configuration(recipe, payload=payload).encode())
        archive.add("init", _FILE, (GUEST / "init").read_bytes())
        archive.add("agent.py", _FILE, (GUEST / "agent.py").read_bytes())
        archive.add("TRAILER!!!", 0)
