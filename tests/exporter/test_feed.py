"""A recording is replayed as if it were counted now."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kstats import recording
from kstats.errors import RecordingError, UsageError
from kstats.exporter import feed
from kstats.exporter.feed import Replay
from kstats.recording import Clock, Header
from tests.exporter.running import RECORDING
from tests.exporter.samples import HLT, Guest, Now, sample


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A recording of three samples, 2, 3 and 5 seconds long."""
    path = tmp_path / "three.jsonl"
    with recording.Writer(path, Header("x64", Clock(0, 0), counted=("exits",))) as writer:
        for seconds in (2.0, 3.0, 5.0):
            writer.write(sample(Guest("web", exits={HLT: [int(seconds)]}), elapsed=seconds))
    return str(path)


def given(replay: Replay) -> list[float]:
    return [one.elapsed for one in replay.samples()]


def test_samples_come_when_they_ended(path: str) -> None:
    now = Now()
    replay = Replay(path, clock=now)
    found = []
    for second in range(12):
        now.time = 1000.0 + second
        found.append(given(replay))
    assert found == [[], [], [2.0], [], [], [3.0], [], [], [], [], [5.0], []]
    replay.close()


def test_faster(path: str) -> None:
    now = Now()
    replay = Replay(path, speed=2.5, clock=now)
    now.time += 2
    assert given(replay) == [2.0, 3.0]
    replay.close()


def test_for_ever(path: str) -> None:
    now = Now()
    replay = Replay(path, loop=True, clock=now)
    now.time += 25
    assert given(replay) == [2.0, 3.0, 5.0, 2.0, 3.0, 5.0, 2.0, 3.0]
    replay.close()


def test_what_cannot_be_read_that_fast_is_read_as_fast_as_possible(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_AT_ONCE", 4)
    now = Now()
    replay = Replay(path, loop=True, speed=1e6, clock=now)
    now.time += 1
    assert len(given(replay)) == 4
    assert len(given(replay)) == 0
    now.time += 1
    assert len(given(replay)) == 4
    replay.close()


def test_a_recording_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    with recording.Writer(path, Header("x64", Clock(0, 0))):
        pass
    replay = Replay(str(path), loop=True)
    assert given(replay) == []
    replay.close()


def test_about_what_was_recorded() -> None:
    replay = Replay(RECORDING)
    about = replay.about
    assert (about.arch, about.isa, about.loader) == ("x64", "svm", "recording")
    assert about.kernel.startswith("6.1.")
    replay.close()


def test_a_damaged_recording_gives_what_is_good(path: str) -> None:
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write("{}\n")
    now = Now()
    replay = Replay(path, clock=now)
    now.time += 1000
    samples = replay.samples()
    assert [next(samples).elapsed for _ in range(3)] == [2.0, 3.0, 5.0]
    with pytest.raises(RecordingError):
        next(samples)
    replay.close()


def test_standard_input_cannot_be_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError, match="--loop"):
        Replay("-", loop=True)
