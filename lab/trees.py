"""Clean Debian systems, as folders to chroot into: apt, Python, and nothing else to run kstats."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs

from lab.hosts import cache
from lab.hosts.build.apt import KEYRING, mirror
from lab.hosts.build.run import run

SECONDS = 1800

# The mounts are in a namespace of their own, which ends with the program.
_CHANGE = 'mount --rbind /proc "$0/proc"; mount --rbind /sys "$0/sys"; exec chroot "$0" "$@"'


@attrs.frozen
class Tree:
    """A system in a folder. Only root can change into it."""

    root: Path

    def run(self, *words: str, folder: str = "/", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the system, without a network, in a clean environment."""
        change = ["unshare", "--net", "--mount", "sh", "-ec", _CHANGE, str(self.root)]
        change += ["/usr/bin/env", "-i", "-C", folder]
        variables = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8", **env}
        return subprocess.run(
            [*change, *(f"{name}={value}" for name, value in variables.items()), *words],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def installed(self) -> dict[str, int]:
        """Return the size of each installed package in KiB, by its name."""
        shown = self.run("dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\\n").stdout
        return {name: int(size) for name, size in map(str.split, shown.splitlines())}


def tree(suite: str, depends: str) -> Path:
    """Return a clean system with Python; build it if the cache has none.

    Its apt has the packages that satisfy ``depends``, written as in a package, so that it installs
    them without a network.
    """
    key = cache.key(suite, depends, Path(__file__).read_text(encoding="utf-8"))
    return cache.entry(f"tree-{suite}", key, lambda target: _build(suite, depends, target))


@contextlib.contextmanager
def copied(original: Path, to: Path) -> Iterator[Tree]:
    """Yield a copy to change, which is removed at the end."""
    run(["cp", "-a", original, to], timeout=SECONDS)
    try:
        yield Tree(to)
    finally:
        shutil.rmtree(to)


def _build(suite: str, depends: str, target: Path) -> None:
    # The machine's settings for reaching its mirrors.
    settings = run(["apt-config", "dump", "--no-empty"], timeout=60).splitlines()
    options = [f"--aptopt={line}" for line in settings if line.startswith("Acquire::")]
    download = f"apt-get satisfy -q -y --download-only {shlex.quote(depends)}"
    run(
        [
            *("mmdebstrap", "--variant=apt", "--mode=root", "--include=python3", *options),
            "--aptopt=APT::Install-Recommends false",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=force-unsafe-io",
            f'--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" {download}',
            # Keep what was downloaded, and the lists that it is in.
            "--skip=cleanup/apt",
            *(suite, str(target), f"deb [signed-by={KEYRING}] {mirror()} {suite} main"),
        ],
        timeout=SECONDS,
    )
