"""Screens of recordings as text, in tests/top/golden.

``python -m tests.top.golden`` writes them; look at the difference before committing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kstats import recording
from kstats.model import Sample
from kstats.top.keys import pressed
from kstats.top.screen import screen
from kstats.top.state import State, Status, advanced
from kstats.top.styled import Look, Size, text_of
from tests.top.hosts import large_host, measured_host

FOLDER = Path(__file__).parent / "golden"
RECORDINGS = Path(__file__).parents[2] / "examples" / "recordings"
SIZES = (Size(80, 24), Size(200, 60))
KEYS: Mapping[str, str] = {
    "cpus": "1",
    "vms": "2",
    "vcpus": "3",
    "reasons": "4",
    "slow": "5",
    "explain": "4 Down e",
}
"""The keys that lead to each screen."""


def recorded(name: str) -> list[Sample]:
    """Return the samples of an example recording."""
    with recording.read(RECORDINGS / f"{name}.jsonl") as found:
        return list(found)


def state_of(samples: list[Sample], name: str = "host", look: Look | None = None) -> State:
    """Return the state after samples of a recording."""
    state = State(look=look or Look(), status=Status(name, "ISA", live=False, position=name))
    for sample in samples:
        state = advanced(state, sample)
    return state


def texts(state: State, size: Size) -> list[str]:
    """Return what a terminal shows, as text."""
    return [text_of(line) for line in screen(state, size)]


def after(state: State, keys: str | list[str], size: Size) -> State:
    """Return the state after keys."""
    for key in keys.split() if isinstance(keys, str) else keys:
        state = pressed(state, key, size)
    return state


def screens() -> Iterator[tuple[str, str]]:
    """Yield the name of each golden screen and its text."""
    hosts = {"svm": recorded("svm")[:12], "large": [large_host()], "measured": [measured_host()]}
    for host, samples in hosts.items():
        state = state_of(samples, host)
        for name, keys in KEYS.items():
            for size in SIZES:
                shown = texts(after(state, keys, size), size)
                file = f"{host}-{name}-{size.columns}x{size.rows}.txt"
                yield file, "".join(f"{line}\n" for line in shown)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in screens():
        (FOLDER / name).write_text(text, encoding="utf-8")
