"""The keys of ``kstats top``: one table, from which the help screen and docs/top.md are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import attrs

from kstats.top import screen as screens
from kstats.top import tables
from kstats.top.frame import Scope
from kstats.top.rows import Row
from kstats.top.state import Ask, Effect, Key, Overlay, Prompt, Screen, State, looking
from kstats.top.styled import Size
from kstats.vms.select import matches

if TYPE_CHECKING:
    from kstats.why.engine import Unchecked

SPEEDS = (1, 2, 5, 10, 30, 60)

Action: TypeAlias = Callable[[State, Size], State]


@attrs.frozen(eq=False)
class Binding:
    """What some keys do.

    Attributes:
        keys: Their names: a character, or a word such as ``Enter``.
        text: What they do, for people.
        action: Return the state after one of them.
        group: The heading that they stand below in the help.
    """

    keys: tuple[str, ...]
    text: str
    action: Action
    group: str


def pressed(state: State, key: str, size: Size) -> State:
    """Return the state after a key."""
    state = attrs.evolve(state, message="", effect=None, argument="")
    if state.prompt:
        return _answer(state, state.prompt, key)
    if state.overlay and key in _SCROLLING:
        return _scroll(state, _SCROLLING[key], size)
    binding = _BY_KEY.get(key)
    if state.overlay and (binding is None or binding.action not in (_help, _explain, _why, _quit)):
        return attrs.evolve(state, overlay=None, scroll=0)
    return binding.action(state, size) if binding else state


def help_texts() -> tuple[tuple[str, str, str], ...]:
    """Return the heading, the keys and the text of each binding."""
    return tuple((b.group, " ".join(b.keys), b.text) for b in BINDINGS)


def _ask(ask: Ask) -> Action:
    return lambda state, _: attrs.evolve(state, prompt=Prompt(ask))


def _do(effect: Effect, argument: str = "") -> Action:
    return lambda state, _: attrs.evolve(state, effect=effect, argument=argument)


def _recorded(action: Action) -> Action:
    """Return an action that only recordings have."""

    def checked(state: State, size: Size) -> State:
        if state.status.live:
            text = "only recordings can be wound: kstats top --input FILE"
            return attrs.evolve(state, message=text)
        return action(state, size)

    return checked


def _counting(action: Action) -> Action:
    """Return an action that only live counting has."""

    def checked(state: State, size: Size) -> State:
        if not state.status.live:
            return attrs.evolve(state, message="not possible while a recording is shown")
        if state.status.problem:
            return attrs.evolve(state, message="not possible: nothing is counted on this host")
        return action(state, size)

    return checked


def _quit(state: State, _: Size) -> State:
    return attrs.evolve(state, effect=Effect.QUIT)


def _help(state: State, _: Size) -> State:
    shown = None if state.overlay is Overlay.HELP else Overlay.HELP
    return attrs.evolve(state, overlay=shown, scroll=0, help=help_texts())


def _explain(state: State, _: Size) -> State:
    if state.overlay is Overlay.EXPLAIN:
        return attrs.evolve(state, overlay=None)
    if screens.explained(state) == (None, None):
        return attrs.evolve(state, message="nothing to explain here: select a reason")
    return attrs.evolve(state, overlay=Overlay.EXPLAIN, scroll=0)


def _why(state: State, size: Size) -> State:
    if state.overlay is Overlay.WHY:
        return attrs.evolve(state, overlay=None)
    if state.frame is None:
        return attrs.evolve(state, message="there is no sample yet")
    from kstats.why import engine, evidence, render  # noqa: PLC0415 - few sessions ask

    judge = engine.Judge()
    judge.add(evidence.Evidence.of(state.frame.sample))
    how = _key_for if state.status.live else render.how_to_measure
    found = render.text(judge.report(), max(size.columns - 2, 40), how).splitlines()
    return attrs.evolve(state, overlay=Overlay.WHY, scroll=0, why=tuple(found))


def _key_for(unchecked: Unchecked) -> str:
    """Return the key that measures what a rule lacks, else the command."""
    _, _, details = unchecked.part.partition(" ")
    key = "D" if details == "details" else {"latencies": "L", "vCPU times": "M"}.get(unchecked.part)
    return f"key {key}" if key else "kstats why"


def _show(screen: Screen) -> Action:
    return lambda state, _: looking(state, screen, state.scope)


def _move(lines: Callable[[Size], int], cells: int = 0) -> Action:
    def moved(state: State, size: Size) -> State:
        keys, at, across = screens.position(state, size)
        if not keys:
            return state
        to = at + lines(size) * across + cells
        return attrs.evolve(state, selected=keys[min(max(to, 0), len(keys) - 1)])

    return moved


def _page(size: Size) -> int:
    return screens.body_size(size).rows - 2


def _enter(state: State, size: Size) -> State:
    keys, at, _ = screens.position(state, size)
    if not keys:
        return state
    state = attrs.evolve(state, selected=keys[at])
    if state.screen is Screen.CPUS:
        cpu = screens.selected_cpu(state, size)
        return _drill(state, Screen.VMS, attrs.evolve(state.scope, cpu=cpu))
    row = screens.selected_row(state)
    return _open(state, row) if row else state


def _open(state: State, row: Row) -> State:
    """Drill down into a row: a VM, its vCPU, its reasons, their details, what it means."""
    if state.screen is Screen.VMS and row.vm:
        return _drill(state, Screen.VCPUS, attrs.evolve(state.scope, vm=row.vm))
    if state.screen is Screen.VCPUS and row.threads[0]:
        return _drill(state, Screen.REASONS, attrs.evolve(state.scope, thread=row.threads[0]))
    if state.screen is Screen.REASONS and row.level == 0:
        return _folded(state, row.key)
    if state.screen is Screen.REASONS and row.level == 1 and state.scope.code is None:
        made = _drill(state, Screen.REASONS, attrs.evolve(state.scope, code=row.code))
        if state.frame and not state.frame.details.get(row.code or ("", 0)):
            made = attrs.evolve(made, message="D loads details: which MSR, port or address it is")
        return made
    return _explain(state, Size(0, 0))


def _drill(state: State, screen: Screen, scope: Scope) -> State:
    trail = (*state.trail, (state.screen, state.scope, state.selected))
    return attrs.evolve(looking(state, screen, scope), trail=trail)


def _folded(state: State, key: Key) -> State:
    return attrs.evolve(state, folded=state.folded ^ {key})


def _back(state: State, _: Size) -> State:
    if not state.trail:
        return state if state.scope == Scope() else looking(state, state.screen, Scope())
    *trail, (screen, scope, selected) = state.trail
    return attrs.evolve(looking(state, screen, scope), trail=tuple(trail), selected=selected)


def _sort(step: int) -> Action:
    def sorted_(state: State, _: Size) -> State:
        known = tables.sortable(state)
        if not known:
            return attrs.evolve(state, message="CPUs stay in the order of nodes and sockets")
        at = known.index(tables.sorted_by(state)) + step
        chosen = known[at % len(known)]
        message = f"sorted by {chosen}"
        return attrs.evolve(state, sort={**state.sort, state.screen: chosen}, message=message)

    return sorted_


def _turn(state: State, _: Size) -> State:
    return attrs.evolve(state, ascending=not state.ascending)


def _clear(state: State, _: Size) -> State:
    cleared = looking(state, state.screen, Scope())
    return attrs.evolve(cleared, filter="", trail=(), message="filters cleared")


def _reset(state: State, _: Size) -> State:
    return attrs.evolve(state, trend=(), slow=(), dropped={}, message="trends and sums were reset")


def _by_guest(state: State, _: Size) -> State:
    other = Screen.REASONS if state.screen is Screen.VMS else Screen.VMS
    return looking(state, other, state.scope)


def _children(state: State, _: Size) -> State:
    frame = state.frame
    if state.screen is not Screen.REASONS or frame is None:
        return attrs.evolve(state, idle=not state.idle)
    keys = {row.key for row in tables.sorted_rows(state) if row.level == 0}
    folded = state.folded - keys if keys & state.folded else state.folded | keys
    return attrs.evolve(state, folded=folded)


def _idle(state: State, _: Size) -> State:
    return attrs.evolve(state, idle=not state.idle)


def _space(state: State, _: Size) -> State:
    if state.status.live:
        return attrs.evolve(state, paused=not state.paused)
    return attrs.evolve(state, speed=0 if state.speed else 1)


def _faster(step: int) -> Action:
    def changed(state: State, _: Size) -> State:
        at = SPEEDS.index(state.speed) if state.speed else -1
        to = SPEEDS[min(max(at + step, 0), len(SPEEDS) - 1)]
        return attrs.evolve(state, speed=to)

    return changed


def _mark(state: State, _: Size) -> State:
    if state.mark or state.frame is None:
        return attrs.evolve(state, mark=None, message="the mark was removed")
    text = "marked: rates are compared with this moment"
    return attrs.evolve(state, mark=state.frame, message=text)


def _load(what: str) -> Action:
    def asked(state: State, _: Size) -> State:
        about = state.status.costs.get(what, "")
        if what in state.status.loaded:
            return attrs.evolve(state, effect=Effect.LOAD, argument=what)
        return attrs.evolve(state, prompt=Prompt(Ask.LOAD, what, about))

    return asked


def _detail(state: State, _: Size) -> State:
    kinds = state.status.details
    if not kinds:
        return attrs.evolve(state, message="exits of this host carry no details")
    about = f"{state.status.costs.get('detail', '')} {' '.join(kinds)}, or none; "
    return attrs.evolve(state, prompt=Prompt(Ask.DETAIL, "", about))


_SCROLLING: Mapping[str, Callable[[Size], int]] = {
    "Up": lambda _: -1,
    "k": lambda _: -1,
    "Down": lambda _: 1,
    "PageUp": lambda size: -_page(size),
    "PageDown": _page,
    "Home": lambda _: -(1 << 20),
    "End": lambda _: 1 << 20,
}


def _scroll(state: State, lines: Callable[[Size], int], size: Size) -> State:
    inner = screens.body_size(size)
    most = max(len(screens.overlay(state, inner.columns)) - inner.rows, 0)
    return attrs.evolve(state, scroll=min(max(state.scroll + lines(size), 0), most))


def _answer(state: State, prompt: Prompt, key: str) -> State:
    if key == "Esc":
        return attrs.evolve(state, prompt=None)
    if prompt.ask is Ask.LOAD:
        state = attrs.evolve(state, prompt=None)
        if key not in ("y", "Y", "Enter"):
            return attrs.evolve(state, message="nothing was loaded")
        return attrs.evolve(state, effect=Effect.LOAD, argument=prompt.text)
    if key == "Enter":
        return _ANSWERS[prompt.ask](attrs.evolve(state, prompt=None), prompt.text.strip())
    text = prompt.text
    if key == "Backspace":
        text = text[:-1]
    elif key == "Space" or len(key) == 1:
        text += " " if key == "Space" else key
    return attrs.evolve(state, prompt=attrs.evolve(prompt, text=text))


def _filtered(state: State, text: str) -> State:
    try:
        re.compile(text)
    except re.error as error:
        return attrs.evolve(state, message=f"invalid regular expression: {error}")
    return attrs.evolve(state, filter=text, selected=None)


def _of_vm(state: State, text: str) -> State:
    known = {t.vm for t in state.frame.sample.threads.values()} if state.frame else set()
    found = [vm for vm in known if text and matches(vm, text)]
    if not found:
        return attrs.evolve(state, message=f"no VM matches {text!r}")
    if len(found) > 1:
        state = looking(state, Screen.VMS, Scope())
        pattern = "|".join(sorted(re.escape(vm.name) for vm in found))
        return attrs.evolve(state, filter=pattern, message=f"{len(found)} VMs match")
    return _drill(state, Screen.VCPUS, Scope(vm=found[0]))


def _of_pid(state: State, text: str) -> State:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return attrs.evolve(state, message=f"invalid process ID {text!r}")
    return _of_vm(state, str(int(text)))


def _with_argument(effect: Effect) -> Callable[[State, str], State]:
    return lambda state, text: attrs.evolve(state, effect=effect, argument=text)


def _details(state: State, text: str) -> State:
    if text not in (*state.status.details, "none", ""):
        return attrs.evolve(state, message=f"unknown detail {text!r}")
    return attrs.evolve(state, effect=Effect.LOAD, argument=f"detail {text or 'none'}")


_ANSWERS: Mapping[Ask, Callable[[State, str], State]] = {
    Ask.FILTER: _filtered,
    Ask.VM: _of_vm,
    Ask.PID: _of_pid,
    Ask.DELAY: _with_argument(Effect.DELAY),
    Ask.JUMP: _with_argument(Effect.JUMP),
    Ask.DETAIL: _details,
}

_LOOK, _TABLE, _TIME, _MORE = "look around", "tables", "time", "measure and record"

BINDINGS: tuple[Binding, ...] = (
    *(Binding((str(int(one)),), f"show {one.title}", _show(one), _LOOK) for one in Screen),
    Binding(("Enter", "F5"), "open: CPU or VM ▸ vCPU ▸ reason ▸ detail", _enter, _LOOK),
    Binding(("Esc", "Backspace"), "go back", _back, _LOOK),
    Binding(("e", "F2"), "explain the selected reason, its causes and remedies", _explain, _LOOK),
    Binding(("w",), "why: what is unusual in this sample, as kstats why finds it", _why, _LOOK),
    Binding(("Up", "k"), "select the row above", _move(lambda _: -1), _LOOK),
    Binding(("Down",), "select the row below", _move(lambda _: 1), _LOOK),
    Binding(("Left",), "select the CPU to the left", _move(lambda _: 0, -1), _LOOK),
    Binding(("Right",), "select the CPU to the right", _move(lambda _: 0, 1), _LOOK),
    Binding(("PageUp",), "a page up", _move(lambda size: -_page(size)), _LOOK),
    Binding(("PageDown",), "a page down", _move(_page), _LOOK),
    Binding(("Home",), "the first row", _move(lambda _: -(1 << 20)), _LOOK),
    Binding(("End",), "the last row", _move(lambda _: 1 << 20), _LOOK),
    Binding(("?", "h", "F1"), "show or hide this help", _help, _LOOK),
    Binding(("q", "F10"), "quit; the last screen stays as text", _quit, _LOOK),
    Binding(
        ("/", "f", "F4"), "show only rows that match a regular expression", _ask(Ask.FILTER), _TABLE
    ),
    Binding(("g",), "show one VM, by name, pid or pattern", _ask(Ask.VM), _TABLE),
    Binding(("p",), "show the VM of a process", _ask(Ask.PID), _TABLE),
    Binding(("c",), "clear filters and show the whole host", _clear, _TABLE),
    Binding(("b",), "switch between VMs and reasons", _by_guest, _TABLE),
    Binding(("<",), "sort by the column to the left", _sort(-1), _TABLE),
    Binding((">", "F6"), "sort by the column to the right", _sort(1), _TABLE),
    Binding(("o",), "reverse the order", _turn, _TABLE),
    Binding(("x",), "fold or unfold categories", _children, _TABLE),
    Binding(("z",), "show idle CPUs one by one, or folded", _idle, _TABLE),
    Binding(("r",), "reset trends, slow exits and the sum of dropped exits", _reset, _TABLE),
    Binding(("Space",), "pause; play or stop a recording", _space, _TIME),
    Binding(("s", "d"), "set the seconds between samples", _ask(Ask.DELAY), _TIME),
    Binding(("m",), "mark this moment to compare with; again: remove the mark", _mark, _TIME),
    Binding(("t",), "recording: one sample forward", _recorded(_do(Effect.STEP, "1")), _TIME),
    Binding(("T",), "recording: one sample back", _recorded(_do(Effect.STEP, "-1")), _TIME),
    Binding(("j",), "recording: go to a time", _recorded(_ask(Ask.JUMP)), _TIME),
    Binding(("+",), "recording: play faster, up to x60", _recorded(_faster(1)), _TIME),
    Binding(("-",), "recording: play slower", _recorded(_faster(-1)), _TIME),
    Binding(("L",), "latencies and slow exits on or off", _counting(_load("latency")), _MORE),
    Binding(("D",), "details of exits: which MSR, port, address ...", _counting(_detail), _MORE),
    Binding(
        ("M",),
        "vCPU time on or off: guest, kernel, VMM, halted, waiting",
        _counting(_load("time")),
        _MORE,
    ),
    Binding(("R",), "start or stop a recording", _counting(_do(Effect.RECORD)), _MORE),
    Binding(
        ("y",),
        "quit and print the kstats command that shows this",
        _do(Effect.QUIT, "command"),
        _MORE,
    ),
)
"""What every key does, in the order of the help screen."""

_BY_KEY: Mapping[str, Binding] = {key: binding for binding in BINDINGS for key in binding.keys}
