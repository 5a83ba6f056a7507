"""The loop of ``kstats top``: samples and keys change the state, the painter shows it."""

from __future__ import annotations

from typing import Protocol, Self

import attrs

from kstats.errors import KstatsError
from kstats.top.keys import pressed
from kstats.top.painter import Painter
from kstats.top.screen import screen
from kstats.top.state import Effect, State
from kstats.top.styled import Line


class Source(Protocol):
    """Gives samples: this host, or a recording."""

    @property
    def status(self) -> int:
        """The exit status of the program."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def start(self, state: State) -> State:
        """Return the state with what is known before the first sample."""

    def due(self, state: State) -> float | None:
        """Return the seconds until the next sample; None if only a key brings it."""

    def advance(self, state: State) -> State:
        """Return the state with the next sample."""

    def act(self, state: State) -> State:
        """Return the state after what its effect asks for.

        Raises:
            KstatsError: It is not possible; the message is shown.
        """


_BUSY = {Effect.LOAD: "loading ...", Effect.JUMP: "searching ..."}


def greet(painter: Painter, state: State) -> State:
    """Show a first screen, before there is a source; return the state for this terminal."""
    state = attrs.evolve(state, look=painter.look)
    painter.paint(screen(attrs.evolve(state, message="loading ..."), painter.size))
    return state


def run(painter: Painter, source: Source, state: State) -> tuple[State, list[Line]]:
    """Run until a key or a signal ends it; return the last state and what it looked like."""
    state = source.start(state)
    while not painter.ended:
        left = source.due(state)
        if left is not None and left <= 0:
            state = source.advance(state)
        painter.paint(screen(state, painter.size))
        key = painter.key(source.due(state))
        if not key:
            continue
        state = pressed(state, key, painter.size)
        if state.effect is Effect.QUIT:
            break
        if state.effect:
            state = _acted(painter, source, state)
    return state, screen(attrs.evolve(state, prompt=None), painter.size)


def _acted(painter: Painter, source: Source, state: State) -> State:
    if busy := _BUSY.get(state.effect or Effect.QUIT):
        painter.paint(screen(attrs.evolve(state, message=busy), painter.size))
    try:
        state = source.act(state)
    except KstatsError as error:
        hint = f"; {error.hint}" if error.hint else ""
        state = attrs.evolve(state, message=f"{error}{hint}")
    return attrs.evolve(state, effect=None, argument="")
