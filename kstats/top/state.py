"""The state of ``kstats top``: what is looked at, and what is known of it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeAlias

import attrs

from kstats.model import Sample, SlowExit
from kstats.top.frame import Frame, Scope
from kstats.top.styled import Look
from kstats.views import losses
from kstats.vms.identity import Vm

TREND = 60
"""Samples of a trend."""

SLOW = 500
"""Slow exits that are kept."""

Key: TypeAlias = tuple[Hashable, ...]
"""Identifies a row from sample to sample."""

Vms: TypeAlias = Mapping[Vm | None, float]
"""Exits per second by VM; None has those without a VM."""


class Screen(enum.IntEnum):
    """The screens, by the digit that chooses them."""

    CPUS = 1
    VMS = 2
    VCPUS = 3
    REASONS = 4
    SLOW = 5

    @property
    def title(self) -> str:
        """Its name for people."""
        return ("CPUs", "VMs", "vCPUs", "Reasons", "Slow exits")[self - 1]


class Effect(enum.Enum):
    """What a key asks for beyond the state; ``State.argument`` goes with it."""

    QUIT = enum.auto()
    LOAD = enum.auto()
    RECORD = enum.auto()
    DELAY = enum.auto()
    STEP = enum.auto()
    JUMP = enum.auto()


class Ask(enum.Enum):
    """What a prompt asks for; the value is its label."""

    FILTER = "filter (regular expression): "
    VM = "VM (name, pid or pattern): "
    PID = "process ID: "
    DELAY = "seconds between samples: "
    JUMP = "go to (12:03:20, 3m ago, +30s, start, end): "
    DETAIL = "detail: "
    LOAD = "y/n "


@attrs.frozen
class Prompt:
    """A question in the last line, and the answer so far; ``about`` says more about it."""

    ask: Ask
    text: str = ""
    about: str = ""


class Overlay(enum.Enum):
    """A text in place of the screen."""

    HELP = enum.auto()
    EXPLAIN = enum.auto()
    WHY = enum.auto()


@attrs.frozen
class Status:
    """What the source says about itself.

    Attributes:
        source: The host or the file.
        isa: What people call its ISA; empty until it is known.
        live: Whether it counts on this host.
        interval: Seconds between samples.
        overhead: What counting costs, in words; empty if it is not known.
        recording: The file that samples are written to; empty for none.
        loaded: What is measured besides exits: ``latency``, ``time``, the kind of detail.
        details: Kinds of detail that can be loaded.
        costs: What loading latency, detail and time costs, in words.
        position: Where in a recording the sample is, in words.
        at_end: Whether a recording has no later sample.
        problem: Why there is nothing to show, and the fix; empty while all is well.
    """

    source: str = ""
    isa: str = ""
    live: bool = True
    interval: float = 1.0
    overhead: str = ""
    recording: str = ""
    loaded: frozenset[str] = frozenset()
    details: tuple[str, ...] = ()
    costs: Mapping[str, str] = attrs.field(factory=dict)
    position: str = ""
    at_end: bool = False
    problem: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class State:
    """Everything that a screen shows.

    Attributes:
        look: What the terminal can show.
        status: What the source says about itself.
        screen, scope: What is looked at.
        trail: The (screen, scope, selected row) to go back to, the latest last.
        selected: The selected row; None for the first.
        frame: The last sample in the scope; None before the first.
        trend: Exits per second by VM of the last samples, oldest first.
        slow: Slow exits, newest first.
        dropped: Incompletely counted exits by kind, since the start or the last reset.
        helpers: Per cent of a CPU that a process spends outside its vCPUs, by pid.
        mark: A frame to compare with.
        sort: The column that each screen is sorted by, if not by its first number.
        ascending: Whether the smallest comes first.
        filter: A regular expression that rows must match.
        folded: Rows whose children are hidden.
        idle: Whether idle CPUs are shown one by one.
        paused: Whether new samples are taken without being shown.
        speed: How many times faster than recorded a recording plays; 0 while it stands.
        prompt, overlay, message: What is in front.
        scroll: The first line of the overlay.
        why: What ``kstats why`` finds in the sample that was shown when it was asked for.
        help: The heading, keys and text of each line of the help.
        effect, argument: What the last key asks for.
    """

    look: Look = attrs.field(factory=Look)
    status: Status = Status()
    screen: Screen = Screen.CPUS
    scope: Scope = attrs.field(factory=Scope)
    trail: tuple[tuple[Screen, Scope, Key | None], ...] = ()
    selected: Key | None = None
    frame: Frame | None = None
    trend: tuple[Vms, ...] = ()
    slow: tuple[SlowExit, ...] = ()
    dropped: Mapping[str, int] = attrs.field(factory=dict)
    helpers: Mapping[int, float] | None = None
    mark: Frame | None = None
    sort: Mapping[Screen, str] = attrs.field(factory=dict)
    ascending: bool = False
    filter: str = ""
    folded: frozenset[Key] = frozenset()
    idle: bool = False
    paused: bool = False
    speed: int = 0
    prompt: Prompt | None = None
    overlay: Overlay | None = None
    message: str = ""
    scroll: int = 0
    why: tuple[str, ...] = ()
    help: tuple[tuple[str, str, str], ...] = ()
    effect: Effect | None = None
    argument: str = ""


def advanced(state: State, sample: Sample) -> State:
    """Return the state after one more sample; a paused one goes on showing the old one."""
    whole = Frame.of(sample)
    frame = whole if state.scope == Scope() else Frame.of(sample, state.scope)
    lost = Counter(state.dropped) + Counter(_losses(sample))
    return attrs.evolve(
        state,
        frame=state.frame if state.paused and state.frame else frame,
        trend=(*state.trend[1 - TREND :], by_vm(whole)),
        slow=(*reversed(sample.slow), *state.slow)[:SLOW] if sample.slow else state.slow,
        dropped=lost,
    )


def rewound(state: State, samples: Iterable[Sample]) -> State:
    """Return the state at the last of ``samples``, with the others before it."""
    state = attrs.evolve(state, trend=(), slow=(), dropped={}, frame=None)
    for sample in samples:
        state = advanced(state, sample)
    return state


def looking(state: State, screen: Screen, scope: Scope) -> State:
    """Return the state with another screen and scope."""
    if scope != state.scope and state.frame:
        frame = Frame.of(state.frame.sample, scope)
        mark = Frame.of(state.mark.sample, scope) if state.mark else None
        state = attrs.evolve(state, frame=frame, mark=mark, scope=scope)
    return attrs.evolve(state, screen=screen, scope=scope, selected=None)


def by_vm(frame: Frame) -> Vms:
    """Return the exits per second by VM."""
    rates: dict[Vm | None, float] = {}
    threads = frame.sample.threads
    for number, n in frame.threads.items():
        thread = threads.get(number)
        vm = thread.vm if thread else None
        rates[vm] = rates.get(vm, 0) + n / frame.elapsed
    return rates


def _losses(sample: Sample) -> dict[str, int]:
    more = {
        "latency_dropped": sample.latency_dropped,
        "slow_dropped": sample.slow_dropped,
        "time_dropped": sample.time_dropped,
        "names_dropped": sample.names_dropped,
    }
    return {name: n for name, n in losses.counts(sample, **more) if n}
