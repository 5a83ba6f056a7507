"""Build a distribution's kernel with only the modules that emulated hosts need."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.hosts.build.apt import Apt
from lab.hosts.build.compression import decompress, unwrap
from lab.hosts.build.run import run
from lab.hosts.build.unpack import unpack
from lab.hosts.errors import BuildError
from lab.hosts.recipes import Kernel

IMAGE = "kernel"
MODULES = "modules"  # holds lib/modules/VERSION

# Dependencies of the kernel packages that set up an ordinary boot.
UNWANTED = ("initramfs-tools", "kmod", "linux-base")
WITHOUT = ("./usr/share", "./lib/modules/*/kernel/sound", "./usr/lib/modules/*/kernel/sound")

# Prefix of the binutils for an architecture.
BINUTILS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

# Of all machines, with their dependencies. Modules that a kernel has built in are skipped.
WANTED = (
    # disks, channel, root file system
    "ata_piix",
    "crc32c_generic",
    "ext4",
    "sd_mod",
    "virtio_blk",
    "virtio_console",
    "virtio_pci",
    # KVM
    "kvm",
    "kvm_amd",
    "kvm_intel",
    "msr",
)


def build_kernel(kernel: Kernel, apt: Apt, target: Path) -> None:
    """Write a kernel image and the tree of its modules into the directory `target`.

    Raises:
        BuildError: Fetching or unpacking failed, or the packages contain no kernel.
    """
    unpacked = target / "unpacked"
    unpacked.mkdir()
    unpack(apt.fetch([kernel.package], without=UNWANTED), unpacked, without=WITHOUT)
    images = dict(_images(unpacked))
    if len(images) != 1:
        raise BuildError(f"looking for a kernel in {kernel.package} of {kernel.suite}")
    ((version, image),) = images.items()
    (target / IMAGE).write_bytes(unwrap(image.read_bytes()))
    source = _module_directory(unpacked, version)
    pick_modules(source, target / MODULES, version, tools=BINUTILS[apt.arch])
    shutil.rmtree(unpacked)


def _images(unpacked: Path) -> Iterator[tuple[str, Path]]:
    """Yield versions and images of kernels. Debian's of 7.3 are beside their modules."""
    for image in (unpacked / "boot").glob("vmlinu[xz]-*"):
        yield image.name.partition("-")[2], image
    for image in unpacked.glob("usr/lib/modules/*/vmlinu[xz]"):
        yield image.parent.name, image


def _module_directory(unpacked: Path, version: str) -> Path:
    # Older packages install modules outside /usr.
    for prefix in ("usr/lib", "lib"):
        if (unpacked / prefix / "modules" / version).is_dir():
            return unpacked / prefix / "modules" / version
    raise BuildError(f"looking for the modules of kernel {version}")


def pick_modules(source: Path, target: Path, version: str, *, tools: str) -> None:
    """Copy the modules that emulated hosts need from `source` to `target`, and index them."""
    tree = target / "lib/modules" / version
    tree.mkdir(parents=True)
    run(["depmod", "-b", source.parents[2], version], timeout=300)
    for path in _closure(source):
        _copy(source / path, tree / path, tools)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        if (source / name).exists():
            shutil.copy(source / name, tree / name)
    run(["depmod", "-b", target, version], timeout=60)


def _closure(source: Path) -> Iterator[str]:
    """Yield the paths of the wanted modules and their dependencies, as in modules.dep."""
    needs = {}
    for line in (source / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    wanted = {path for path in needs if _name(path) in WANTED}
    yield from sorted(wanted.union(*(needs[path] for path in wanted)))


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def _copy(source: Path, target: Path, tools: str) -> None:
    """Copy a module, decompressed and stripped.

    When an emulated CPU loads a distribution's module, most of the time goes into decompression,
    the check of the signature and, on some kernels, the search for each function among all
    symbols. So drop all symbols that are neither functions nor needed for linking, and thereby the
    signature, too: the kernel reports itself as tainted, but works the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    data = decompress(source.read_bytes())
    module = target.parent / (target.name.partition(".")[0] + ".ko")
    module.write_bytes(data)
    functions = module.with_suffix(".functions")
    listed = run([f"{tools}-nm", "--defined-only", module], timeout=60).splitlines()
    names = [line.split()[2] for line in listed if line.split()[1] in "tTwW"]
    functions.write_text("".join(f"{name}\n" for name in names))
    keep = f"--keep-symbols={functions}"
    run([f"{tools}-objcopy", "--strip-unneeded", keep, module], timeout=60)
    functions.unlink()
