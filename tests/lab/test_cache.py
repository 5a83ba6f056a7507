"""Test the cache: entries are complete or do not exist, and are built once."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from lab.hosts import cache

KEY = "0123456789ab"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KSTATS_HOSTS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(target: Path) -> None:
    (target / "file").write_text("contents")


def test_an_entry_is_built_once(directory: Path) -> None:
    built = []

    def build(target: Path) -> None:
        built.append(target)
        fill(target)

    places = {cache.entry("thing", KEY, build) for _ in range(3)}
    assert places == {directory / f"thing-{KEY}"}
    assert (directory / f"thing-{KEY}/file").read_text() == "contents"
    assert len(built) == 1


def test_a_failed_build_leaves_nothing(directory: Path) -> None:
    def build(target: Path) -> None:
        fill(target)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.entry("thing", KEY, build)
    assert [path.name for path in directory.iterdir()] == ["lock"]
    assert (cache.entry("thing", KEY, fill) / "file").exists()


def test_a_second_builder_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, waits = threading.Event(), threading.Event()
    built = []

    def say(text: str) -> None:
        if text.startswith("waiting for another build"):
            waits.set()

    def build(target: Path) -> None:
        begun.set()
        assert waits.wait(timeout=60)
        built.append(target)

    monkeypatch.setattr(cache, "say", say)

    threads = [threading.Thread(target=cache.entry, args=("thing", KEY, build)) for _ in range(2)]
    threads[0].start()
    begun.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_a_build_removes_old_entries_of_the_same_label(directory: Path) -> None:
    long_ago = time.time() - cache.KEPT_SECONDS - 60
    for label, key in [("thing", "a" * 12), ("thing", "b" * 12), ("other", "a" * 12)]:
        cache.entry(label, key, fill)
    for name in ("thing-aaaaaaaaaaaa", "other-aaaaaaaaaaaa"):
        os.utime(directory / name, (long_ago, long_ago))
    cache.entry("thing", KEY, fill)
    assert sorted(path.name for path in directory.glob("*-*")) == [
        f"other-{'a' * 12}",
        f"thing-{KEY}",
        f"thing-{'b' * 12}",
    ]


def test_use_keeps_an_entry(directory: Path) -> None:
    place = cache.entry("thing", KEY, fill)
    os.utime(place, (0, 0))
    cache.entry("thing", KEY, fill)
    assert time.time() - (directory / f"thing-{KEY}").stat().st_mtime < 60


def test_size_does_not_count_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "file").write_bytes(bytes(5000))
    assert 5000 <= cache.size(tmp_path) < 1 << 20
