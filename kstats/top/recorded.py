"""A recording as a source of ``kstats top``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Self

import attrs

from kstats import recording
from kstats.errors import KstatsError, RecordingError
from kstats.model import Sample
from kstats.top.state import Effect, State, Status, advanced, rewound
from kstats.top.tape import Tape


class Recorded:
    """A recording that is played: ``interval`` merges its samples, None leaves them.

    Raises:
        RecordingError: It cannot be read.
    """

    def __init__(self, path: str, interval: float | None = None) -> None:
        self._path = path
        self._interval = interval
        self._opened = recording.read(path)
        self._fresh = True
        self._tape = Tape(self._samples)
        self._next = time.monotonic()
        self._fault = ""
        self._broken = False

    @property
    def status(self) -> int:
        """The exit status: that of a recording that cannot be read to its end."""
        return RecordingError.status if self._broken else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def start(self, state: State) -> State:
        """Return the state at the first sample."""
        found = self._tape.step(1)
        if found:
            return self._shown(advanced(state, found[0]))
        problem = (self._fault or "the recording has no samples",)
        return self._shown(attrs.evolve(state, status=Status(problem=problem)))

    def due(self, state: State) -> float | None:
        """Return the seconds until the next sample, at the speed of playing."""
        if not state.speed or self._tape.at_end:
            return None
        return max(self._next - time.monotonic(), 0)

    def advance(self, state: State) -> State:
        """Return the state with the next sample."""
        found = self._tape.step(1)
        for sample in found:
            state = advanced(state, sample)
        if not found:
            return self._shown(attrs.evolve(state, speed=0))
        self._next = time.monotonic() + found[-1].elapsed / max(state.speed, 1)
        return self._shown(state)

    def act(self, state: State) -> State:
        """Step, jump, or merge samples into longer ones."""
        if state.effect is Effect.DELAY:
            return self._merged(state)
        if state.frame is None:
            raise KstatsError("the recording has no samples")
        if state.effect is Effect.STEP and int(state.argument) > 0:
            return self._shown(self.advance(attrs.evolve(state, speed=0)))
        jump = state.effect is Effect.JUMP
        found = self._tape.jump(state.argument) if jump else self._tape.step(int(state.argument))
        return self._shown(rewound(attrs.evolve(state, speed=0), found))

    def _merged(self, state: State) -> State:
        try:
            interval = float(state.argument)
        except ValueError:
            raise KstatsError(f"invalid interval {state.argument!r}", "give seconds") from None
        moment = state.frame.sample.time if state.frame else 0
        self._interval = max(interval, 0.01)
        self._tape = Tape(self._samples)
        found = self._tape.step(1)
        while found and found[-1].time < moment:
            found = self._tape.step(1)
        return self._shown(rewound(state, self._tape.window()))

    def _samples(self) -> Iterator[Sample]:
        """Return the samples from the start; what was opened to check it is read first."""
        if not self._fresh:
            self._opened.close()
            self._opened = recording.read(self._path)
        self._fresh = False
        samples = self._readable(self._opened)
        if self._interval is not None and self._interval != self._opened.header.interval:
            return recording.merged(samples, self._interval)
        return samples

    def _readable(self, file: recording.Recording) -> Iterator[Sample]:
        """Yield what can be read; then note why it ends early."""
        try:
            yield from file
            self._fault = f"{file.name}: {file.tail}" if file.tail else ""
        except RecordingError as error:
            self._fault, self._broken = str(error), True

    def _shown(self, state: State) -> State:
        """Return the state with the position in the recording."""
        header = self._opened.header
        name = self._path.rpartition("/")[2]
        isas = ", ".join(isa.title for isa in header.isas)
        status = attrs.evolve(
            state.status,
            source=header.host.name,
            isa=isas or header.arch,
            live=False,
            interval=self._interval or header.interval or 0.0,
            position=f"{name} sample {self._tape.index + 1}",
            at_end=self._tape.at_end,
        )
        shown = attrs.evolve(state, status=status)
        return attrs.evolve(shown, message=self._fault) if self._fault else shown
