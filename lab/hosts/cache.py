"""A cache of built directories; the name of an entry is a hash of everything that it depends on.

An entry is a directory `LABEL-KEY`. It is built under a temporary name and then renamed, so that it
is complete or does not exist. A lock makes a second builder wait for the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.hosts.progress import say, step

BUILDER = Path(__file__).with_name("build")
ROOT = Path(__file__).parents[2]
KEPT_SECONDS = 14 * 24 * 3600


def directory() -> Path:
    """Return the cache directory: KSTATS_HOSTS_CACHE, or `.cache/hosts` of the checkout."""
    return Path(os.environ.get("KSTATS_HOSTS_CACHE") or ROOT / ".cache/hosts").absolute()


def builder_hash() -> str:
    """Return a hash of the builder's source: when it changes, images are built again."""
    digest = hashlib.sha256()
    for path in sorted(BUILDER.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def key(*parts: object) -> str:
    """Return a hash of these values and of the builder's source, as 12 hex digits.

    The `repr` of each value is hashed: they must be plain data, such as frozen attrs values.
    """
    text = "\0".join([builder_hash(), *map(repr, parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def size(path: Path) -> int:
    """Return the bytes that a file or a directory takes on disk (images are sparse)."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_blocks * 512 for file in files if not file.is_dir())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build, which holds {path}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def entry(label: str, entry_key: str, build: Callable[[Path], None]) -> Path:
    """Return the directory of a cache entry; build it if it is missing.

    Args:
        label: A readable prefix of its name.
        entry_key: From `key`.
        build: Called with an empty directory to fill.
    """
    place = directory() / f"{label}-{entry_key}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        # One lock for all entries, because builders share the downloaded packages.
        with _locked(place.parent / "lock"):
            if not place.exists():
                _build(label, place, build)
    os.utime(place)
    return place


def _build(label: str, place: Path, build: Callable[[Path], None]) -> None:
    _forget_old(label, place.parent)
    with tempfile.TemporaryDirectory(prefix=f".{label}-", dir=place.parent) as temporary:
        filling = Path(temporary, "new")
        filling.mkdir()
        with step(f"building {label}"):
            build(filling)
        filling.rename(place)


def _forget_old(label: str, parent: Path) -> None:
    """Remove entries of this label that were not used for two weeks."""
    for old in parent.glob(f"{label}-????????????"):
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
