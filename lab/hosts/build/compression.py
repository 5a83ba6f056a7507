"""Unpack kernels and modules here, because it takes an emulated CPU seconds."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess

from lab.hosts.build.run import which
from lab.hosts.errors import BuildError

# Offsets in Documentation/arch/x86/boot.rst of the kernel, "The Real-Mode Kernel Header".
_SETUP_SECTORS = 0x1F1
_MAGIC = 0x202
_PAYLOAD = 0x248  # offset and length, since protocol 2.08


def decompress(data: bytes) -> bytes:
    """Return `data` decompressed, or unchanged if it has no known magic number.

    Raises:
        BuildError: It is damaged.
    """
    try:
        if data.startswith(b"\xfd7zXZ\0"):
            return lzma.decompress(data)
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            zstd = [which("zstd") or "zstd", "-dc"]
            return subprocess.run(zstd, input=data, capture_output=True, check=True).stdout
    except (lzma.LZMAError, OSError, EOFError, subprocess.CalledProcessError) as error:
        raise BuildError("unpacking", str(error)) from error
    return data


def unwrap(image: bytes) -> bytes:
    """Return the ELF file in a self-extracting kernel (bzImage), or another image decompressed.

    Raises:
        BuildError: It is damaged.
    """
    if image[_MAGIC : _MAGIC + 4] != b"HdrS":
        return decompress(image)
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (image[_SETUP_SECTORS] + 1) * 512 + offset
    # The last four bytes are the unpacked size, which follows the compressed stream.
    return decompress(image[start : start + length - 4])
