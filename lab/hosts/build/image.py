"""Make ext4 images from directories, without mounting them."""

from __future__ import annotations

import os
from pathlib import Path

from lab.hosts.build.run import run

BLOCK = 4096
# Bochs needs disks of whole cylinders, of 16 heads and 63 sectors.
CYLINDER = 16 * 63 * 512
# Images are read-only: they need no journal, and checksums would only make reading slower.
FEATURES = "^has_journal,^metadata_csum,^64bit,^resize_inode,^huge_file"


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _size(directory: Path) -> tuple[int, int]:
    """Return the size of a directory's files in whole blocks, and the number of entries."""
    size = count = 0
    for parent, directories, files in os.walk(directory):
        count += len(directories) + len(files)
        size += BLOCK * len(directories)
        for name in files:
            size += _round_up(Path(parent, name).lstat().st_size, BLOCK)
    return size, count


def make_image(directory: Path, image: Path, *, label: str, minimum: int = 0) -> None:
    """Write an ext4 image that holds the files of `directory`.

    Args:
        directory: Its contents become the root of the file system.
        image: The file to write; sparse, and a whole number of cylinders.
        label: Volume label, at most 16 characters.
        minimum: Least size of the image, in bytes.

    Raises:
        BuildError: mke2fs failed, for example because the disk is full.
    """
    size, count = _size(directory)
    inodes = count + 64
    needed = size + inodes * 256 + size // 64 + (8 << 20)
    total = _round_up(max(needed, minimum), CYLINDER)
    run(
        [
            *("mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-m", "0", "-N", str(inodes)),
            *("-O", FEATURES, "-E", "root_owner=0:0,nodiscard", "-L", label),
            *("-d", directory, image, f"{total // 1024}k"),
        ],
        timeout=600,
    )
    os.truncate(image, total)
