"""Build the root file system of a host: Python, bcc and a few tools."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.hosts.build.apt import Apt
from lab.hosts.build.image import make_image
from lab.hosts.build.run import run, which
from lab.hosts.build.unpack import unpack
from lab.hosts.recipes import Userland

IMAGE = "root.img"
BUSYBOX = "busybox"

# Dependencies that no host needs.
UNWANTED = (
    "debconf",
    "dpkg",
    "ieee-data",
    "media-types",
    "perl",
    "perl-modules-5.36",
    "python3-netaddr",
    "readline-common",
    "sensible-utils",
    "tar",
    "wget",
)
WITHOUT = (
    "./usr/share/doc",
    "./usr/share/info",
    "./usr/share/lintian",
    "./usr/share/locale",
    "./usr/share/man",
    "./usr/share/perl",
    "./usr/share/bash-completion",
    "./usr/lib/*/perl/5.36.0/[A-Zu]*",
    "./usr/lib/*/perl/5.36.0/auto",
)
# Links into /usr since bookworm; older packages install files below them.
MERGED = ("bin", "sbin", "lib", "lib64")
MOUNT_POINTS = (
    "dev",
    "lib/modules",
    "mnt",
    "payload",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "var/tmp",
)
APPLETS = """
ash awk basename cat chmod chown clear cp cut date dd df dirname dmesg du echo env expr
false find free grep gzip head hexdump hostname id ifconfig install ip kill killall ln ls
mkdir mkfifo mknod mktemp more mount mv nice nohup nproc od pgrep pidof pkill poweroff
printf ps pwd readlink realpath renice reset rm rmdir sed seq setsid sh sleep sort stat stty
strings sync tail tar taskset tee test time timeout top touch tr true truncate tty umount
uname uniq uptime usleep vi watch wc which whoami xargs yes
""".split()  # noqa: SIM905 - a list of a hundred strings would fill a page
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def build_userland(userland: Userland, apt: Apt, target: Path) -> None:
    """Write a root image, and a busybox for the initial file system, into `target`.

    Raises:
        BuildError: Fetching, unpacking or writing failed.
    """
    archives = apt.fetch(userland.packages, without=UNWANTED)
    root = target / "root"
    _skeleton(root)
    unpack(archives, root, without=WITHOUT)
    shutil.copy(root / "bin/busybox", target / BUSYBOX)
    _finish(root)
    make_image(root, target / IMAGE, label="kstats-root")
    shutil.rmtree(root)


def _skeleton(root: Path) -> None:
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")


def _finish(root: Path) -> None:
    for name in MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in ETC.items():
        (root / "etc" / name).write_text(text)
    (root / "etc/mtab").symlink_to("/proc/self/mounts")
    _link_applets(root / "bin")
    _compile(root)


def _link_applets(directory: Path) -> None:
    """Link busybox under the names that no package provides; /bin/sh is among them."""
    for name in APPLETS:
        if not (directory / name).exists():
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to("busybox")


def _compile(root: Path) -> None:
    """Compile Python's modules, as the scripts of their packages would.

    In an emulated host this would take minutes. Bytecode fits one version of Python: if this
    machine does not have the host's version, skip it, and the host is slow.
    """
    for library in (root / "usr/lib").glob("python3.*"):
        if python := which(library.name):
            words = [python, "-m", "compileall", "-q", "-j0", "--invalidation-mode=unchecked-hash"]
            packages = library.parent / "python3/dist-packages"
            run([*words, "-s", root, "-p", "/", library, packages], timeout=300)
