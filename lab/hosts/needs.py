"""Check for the programs that the harness needs; `packages.txt` lists their packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.hosts.build.apt import KEYRING
from lab.hosts.build.run import which
from lab.hosts.errors import MissingPackagesError
from lab.hosts.machines import Machine

# Program or file: package.
ALWAYS = {
    "apt-get": "apt",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "setpriv": "util-linux",
    "tar": "tar",
    "zstd": "zstd",
    "aarch64-linux-gnu-objcopy": "binutils-aarch64-linux-gnu",
    "x86_64-linux-gnu-objcopy": "binutils-x86-64-linux-gnu",
    KEYRING: "debian-archive-keyring",
}


def packages() -> list[str]:
    """Return the packages in `packages.txt`: those that all hosts together need."""
    return Path(__file__).with_name("packages.txt").read_text().split()


def missing(needs: Mapping[str, str]) -> list[str]:
    """Return the packages of missing programs and files, sorted."""
    absent = {
        package
        for name, package in needs.items()
        if not (Path(name).exists() if name.startswith("/") else which(name))
    }
    return sorted(absent)


def check(machine: Machine) -> None:
    """Raise `MissingPackagesError` if a program for building or booting is missing."""
    if packages := missing({**ALWAYS, **machine.needs}):
        raise MissingPackagesError(packages)
