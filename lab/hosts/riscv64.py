"""Build the kernel of a riscv64 host, which is in newer suites with another package layout.

This file is not in `build`, so that a change of it does not rebuild the images of other hosts.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.hosts.build import kernel as kernels
from lab.hosts.build.apt import Apt
from lab.hosts.build.unpack import unpack
from lab.hosts.errors import BuildError
from lab.hosts.recipes import Kernel

TOOLS = "riscv64-linux-gnu"


def build_kernel(kernel: Kernel, apt: Apt, target: Path) -> None:
    """Write a kernel image and the tree of its modules into the directory `target`.

    Raises:
        BuildError: Fetching or unpacking failed, or the packages contain no kernel.
    """
    unpacked = target / "unpacked"
    unpacked.mkdir()
    archives = apt.fetch([kernel.package], without=kernels.UNWANTED)
    unpack(archives, unpacked, without=kernels.WITHOUT)
    images = list((unpacked / "usr/lib/modules").glob("*/vmlinuz"))
    if len(images) != 1:
        raise BuildError(f"looking for a kernel in {kernel.package} of {kernel.suite}")
    (target / kernels.IMAGE).write_bytes(images[0].read_bytes())
    modules = images[0].parent
    kernels.pick_modules(modules, target / kernels.MODULES, modules.name, tools=TOOLS)
    shutil.rmtree(unpacked)
