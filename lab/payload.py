"""Build the payload of the emulated hosts: kstats as its wheel installs it, and the small VMM.

A host in which kstats itself is installed gets only the VMM.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.hosts import cache
from lab.vmm import build

ROOT = Path(__file__).parent.parent

_VMM = ("lab/vmm", "lab/payload.py")
_SOURCES = ("kstats", "bpf", "pyproject.toml", "README.md", *_VMM)


def payload() -> Path:
    """Return the directory to boot a host with: `bin`, `site` and `vmm`.

    It is built again when a source has changed.
    """
    return cache.entry("payload", cache.key(_fingerprint(_SOURCES)), _build)


def vmm() -> Path:
    """Return the directory to boot a host with that is to have only the VMM, as `vmm`."""

    def build_vmm(target: Path) -> None:
        build.build(target / "vmm")

    return cache.entry("vmm", cache.key(_fingerprint(_VMM)), build_vmm)


def _build(target: Path) -> None:
    wheels = target / "wheels"
    _install(build_wheel(wheels), target)
    shutil.rmtree(wheels)
    build.build(target / "vmm")


def build_wheel(into: Path) -> Path:
    """Build the project's wheel in a directory and return its path."""
    _run("build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT))
    (wheel,) = into.glob("*.whl")
    return wheel


def _install(wheel: Path, into: Path) -> None:
    site = into / "site"
    _run("pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    scripts = into / "bin"
    (site / "bin").rename(scripts)
    for script in scripts.iterdir():
        # pip writes the path of this machine's interpreter; the hosts have only the distribution's.
        lines = script.read_text(encoding="utf-8").splitlines(keepends=True)
        script.write_text("".join(["#!/usr/bin/python3\n", *lines[1:]]), encoding="utf-8")


def _run(*module_and_arguments: str) -> None:
    command = [sys.executable, "-m", *module_and_arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _fingerprint(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for path in sorted(_files(sources)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _files(sources: tuple[str, ...]) -> Iterator[Path]:
    for source in sources:
        path = ROOT / source
        if path.is_file():
            yield path
        yield from (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


if __name__ == "__main__":
    print(payload())
