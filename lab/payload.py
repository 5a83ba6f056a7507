"""What the emulated hosts are given: kstats as its wheel installs it, and the small VMM."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.vmm import build

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "payload"
OLDEST_CATTRS = "cattrs==22.2.0"
"""What recordings are read with in the hosts; their other libraries are the distribution's."""

_SOURCES = ("kstats", "bpf", "pyproject.toml", "README.md", "lab/vmm", "lab/payload.py")


def payload() -> Path:
    """The directory to boot a host with: bin/, site/ and vmm/. Built anew when a source changes."""
    ready = CACHE / _fingerprint()
    if not ready.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            built = Path(scratch) / "payload"
            _install(build_wheel(Path(scratch)), built)
            build.build(built / "vmm")
            _drop_older()
            built.rename(ready)
    return ready


def build_wheel(into: Path) -> Path:
    """Builds the project's wheel; its path."""
    _run("build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT))
    (wheel,) = into.glob("*.whl")
    return wheel


def _install(wheel: Path, into: Path) -> None:
    site = into / "site"
    _run("pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel), OLDEST_CATTRS)
    scripts = into / "bin"
    (site / "bin").rename(scripts)
    for script in scripts.iterdir():
        # pip names this machine's interpreter; inside, there is only the distribution's.
        lines = script.read_text(encoding="utf-8").splitlines(keepends=True)
        script.write_text("".join(["#!/usr/bin/python3\n", *lines[1:]]), encoding="utf-8")


def _run(*module_and_arguments: str) -> None:
    command = [sys.executable, "-m", *module_and_arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _drop_older() -> None:
    for path in CACHE.iterdir():
        if path.is_dir() and not path.name.startswith("tmp"):
            shutil.rmtree(path)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(_files()):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for source in _SOURCES:
        path = ROOT / source
        if path.is_file():
            yield path
        yield from (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


if __name__ == "__main__":
    print(payload())
