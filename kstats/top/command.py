"""The kstats command that prints what a screen of ``kstats top`` shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kstats.escape import printable
from kstats.top.frame import NO_CODE, Scope, reason
from kstats.top.state import Screen, State
from kstats.views.exits import names_of
from kstats.vms.identity import Thread

_AXES = {
    Screen.CPUS: "cpu",
    Screen.VMS: "vm",
    Screen.VCPUS: "vm,vcpu",
    Screen.REASONS: "category,reason",
    Screen.SLOW: "vm,vcpu,cpu,reason",
}


def command(state: State, input_: str | None, threshold: str) -> str:
    """Return the command; ``input_`` is the recording, ``threshold`` that of slow exits."""
    words = ["kstats", *_view(state, threshold)]
    if input_ is not None:
        words += ["--input", input_]
    elif state.screen is Screen.SLOW:
        words += ["10"]
    else:
        words += [f"{state.status.interval:g}", "10"]
    return shlex.join(words)


def _view(state: State, threshold: str) -> Iterator[str]:
    """Yield the words from the command to its last option."""
    scope = state.scope
    if state.screen is Screen.CPUS and scope == Scope(cpu=scope.cpu):
        yield "cpu"
        if scope.cpu is not None:
            yield from ("--cpus", str(scope.cpu))
        return
    yield "exits"
    yield from _threads(state)
    if scope.code is not None and scope.code != NO_CODE:
        yield from ("--reason", reason(scope.code).name)
    if state.screen is Screen.SLOW:
        yield from ("--slower-than", threshold)
        return
    axes = _AXES[state.screen]
    if scope.cpu is not None and state.screen is not Screen.CPUS:
        axes = f"cpu,{axes}"
    sample = state.frame.sample if state.frame else None
    if sample and state.screen is Screen.REASONS and sample.detail:
        yield from ("--detail", sample.detail)
        axes += ",detail"
    yield from ("--by", axes)
    if sample and sample.timed and state.screen is Screen.REASONS:
        yield "--latency"


def _threads(state: State) -> Iterator[str]:
    """Yield the options that select the VM or the vCPU."""
    scope = state.scope
    known = state.frame.sample.threads if state.frame else {}
    thread: Thread | None = known.get(scope.thread) if scope.thread else None
    if scope.thread and (thread is None or thread.vcpu is None):
        yield from ("--tid", str(scope.thread & 0xFFFF_FFFF))
        return
    vm = thread.vm if thread else scope.vm
    if vm:
        names = names_of([vm, *(one.vm for one in known.values())])
        same = sum(other.pid == vm.pid for other in names)
        yield from ("--vm", str(vm.pid) if same > 1 else printable(names[vm]))
    if thread:
        yield from ("--vcpu", str(thread.vcpu))
