#!/usr/bin/env python3
"""Install the VMM and its guests into a folder: ``python3 build.py FOLDER``, or `build`.

Without a folder, assemble the guests in the source tree, to run the VMM from there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).resolve().parent
PAGE: Final = 4096
PACKAGES: Final = ("binutils-x86-64-linux-gnu", "binutils-aarch64-linux-gnu")
"""Debian packages of the assemblers."""

_PREFIXES: Final = {"x64": "x86_64-linux-gnu-", "arm64": "aarch64-linux-gnu-"}
_TIMEOUT: Final = 60


class BuildError(Exception):
    """An assembler is missing or failed, or a guest is larger than its page."""


def build(folder: Path) -> Path:
    """Copy the VMM into `folder`, with its guests; return the path of ``vmm.py`` there."""
    assemble(folder / "guests")
    for module in _HERE.glob("*.py"):
        if not module.name.startswith("test_") and folder != _HERE:
            shutil.copy(module, folder)
    return folder / "vmm.py"


def assemble(folder: Path) -> dict[str, Path]:
    """Assemble ``x64.bin`` and ``arm64.bin`` into `folder`; return {machine: path}."""
    folder.mkdir(parents=True, exist_ok=True)
    return {machine: _assemble(machine, folder) for machine in _PREFIXES}


def _assemble(machine: str, folder: Path) -> Path:
    binary, object_file = folder / f"{machine}.bin", folder / f"{machine}.o"
    source, prefix = _HERE / "guests" / f"{machine}.S", _PREFIXES[machine]
    _run(f"{prefix}as", source, "-o", object_file)
    _run(f"{prefix}objcopy", "-O", "binary", "-j", ".text", object_file, binary)
    object_file.unlink()
    if binary.stat().st_size > PAGE:
        raise BuildError(f"{binary}: {binary.stat().st_size} bytes do not fit into one page")
    return binary


def _run(tool: str, *args: str | Path) -> None:
    if shutil.which(tool) is None:
        raise BuildError(f"{tool} is missing: apt-get install {' '.join(PACKAGES)}")
    made = subprocess.run(
        [tool, *args], capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if made.returncode:
        raise BuildError(f"{tool}: {made.stderr.strip()}")


if __name__ == "__main__":
    try:
        print(build(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else _HERE))
    except BuildError as error:
        sys.exit(f"build.py: {error}")
