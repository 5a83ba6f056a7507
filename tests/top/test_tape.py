"""Time travel: steps, jumps and playing lead to the samples of the recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from kstats.errors import KstatsError
from kstats.model import Sample
from kstats.top import tape
from kstats.top.recorded import Recorded
from kstats.top.state import Effect, State
from kstats.top.tape import Tape
from tests.samples import MOMENT, sample
from tests.top.golden import RECORDINGS

COUNT = 200


class Opened:
    """A recording of a sample a second, and how often it was read from the start."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Iterator[Sample]:
        """Read it from the start."""
        self.times += 1
        for n in range(COUNT):
            counted = sample({("vmx", 48): {0: n + 1}})
            yield attrs.evolve(counted, time=MOMENT + n)


def place(made: Tape) -> int:
    """Return the number of the current sample."""
    return round(made.current().time - MOMENT)


def test_steps() -> None:
    made = Tape(Opened())
    assert [s.time for s in made.step(3)] == [MOMENT, MOMENT + 1, MOMENT + 2]
    assert place(made) == made.index == 2
    assert [s.time for s in made.step(-1)] == [MOMENT, MOMENT + 1]
    made.step(-10)
    assert place(made) == 0
    made.step(COUNT + 10)
    assert place(made) == COUNT - 1
    assert made.at_end
    made.step(-1)
    assert not made.at_end


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("start", 0),
        ("end", COUNT - 1),
        ("12:01:40", 100),
        ("12:02", 120),
        ("30s ago", 70),
        ("-1m", 40),
        ("+50s", 150),
        ("1h ago", 0),
        ("+1h", COUNT - 1),
        ("2026-01-31T12:00:10.250Z", 10),
        ("2026-01-31 12:00:10.250", 10),
    ],
)
def test_jumps(text: str, number: int) -> None:
    made = Tape(Opened())
    made.step(101)
    window = made.jump(text)
    assert place(made) == number
    assert window[-1] is made.current()


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "3 parsecs ago"])
def test_what_is_no_time_is_refused(text: str) -> None:
    made = Tape(Opened())
    made.step(1)
    with pytest.raises(KstatsError, match="invalid time"):
        made.jump(text)
    assert place(made) == 0


def test_memory_is_bounded_and_going_far_back_reads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tape, "KEPT_PLACES", 140)  # 70 samples
    opened = Opened()
    made = Tape(opened)
    made.step(COUNT)
    made.jump("30s ago")
    assert (place(made), opened.times) == (COUNT - 31, 1)
    for text, number in (("12:00:05", 5), ("12:02", 120), ("start", 0)):
        made.jump(text)
        assert place(made) == number
    assert opened.times > 1


def recorded(path: Path, interval: float | None = None) -> tuple[Recorded, State]:
    source = Recorded(str(path), interval)
    return source, source.start(State())


def acted(source: Recorded, state: State, effect: Effect, argument: str) -> State:
    return source.act(attrs.evolve(state, effect=effect, argument=argument))


def test_a_recording_plays_to_its_end() -> None:
    source, state = recorded(RECORDINGS / "svm.jsonl")
    with source:
        assert source.due(state) is None
        state = attrs.evolve(state, speed=60)
        shown = 1
        while source.due(state) is not None:
            state = source.advance(state)
            shown += 1
        assert state.status.at_end
        assert state.speed == 0
        assert shown == 31  # 30 samples, and the end
        assert source.status == 0


def test_stepping_rewinds_trends() -> None:
    source, state = recorded(RECORDINGS / "svm.jsonl")
    with source:
        for _ in range(9):
            state = acted(source, state, Effect.STEP, "1")
        ahead = len(state.trend)
        state = acted(source, state, Effect.STEP, "-1")
        assert len(state.trend) == ahead - 1 == 9
        state = acted(source, state, Effect.JUMP, "end")
        assert state.status.position == "svm.jsonl sample 30"


def test_samples_can_be_merged() -> None:
    source, state = recorded(RECORDINGS / "svm.jsonl", 10)
    with source:
        assert state.frame
        assert state.frame.elapsed == pytest.approx(10, abs=1)
        one = state.frame.total
        state = acted(source, state, Effect.DELAY, "30")
        assert state.frame
        assert state.frame.total > one
        with pytest.raises(KstatsError, match="invalid interval"):
            acted(source, state, Effect.DELAY, "soon")


def test_a_recording_that_breaks_off_is_shown_up_to_there(tmp_path: Path) -> None:
    lines = (RECORDINGS / "svm.jsonl").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join([*lines[:5], "nonsense", ""]), encoding="utf-8")
    source, state = recorded(path)
    with source:
        state = acted(source, state, Effect.JUMP, "end")
        assert "line 6" in state.message
        assert state.status.position == "broken.jsonl sample 4"
        assert source.status == 7


def test_an_empty_recording(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    header = (RECORDINGS / "svm.jsonl").read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{header}\n", encoding="utf-8")
    source, state = recorded(path)
    with source:
        assert state.status.problem == ("the recording has no samples",)
        with pytest.raises(KstatsError, match="no samples"):
            acted(source, state, Effect.STEP, "1")
