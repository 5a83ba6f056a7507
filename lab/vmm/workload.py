"""Workloads, and the VM exits that they make; works on machines without KVM, too.

A workload is a text such as ``cpuid=1000,io@0x80=200``: kinds (see `kinds.KINDS`), the number of
units of each, and arguments of some. `expected` returns the exits of one vCPU that runs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from .errors import WorkloadError
from .kinds import ANY_TIME, BELL, KINDS, START, Exit, Kind, Rule

RINGS: Final = 2  # at the begin and the end of a lap; a moving vCPU has one more


@dataclass(frozen=True)
class Step:
    """`count` units of a kind."""

    kind: str
    count: int
    arg: int


Workload = tuple[Step, ...]
Counts = dict[tuple[str, str], int]

_X64_DEMO: Final = (
    "cpuid=61,io=83,in=20,rdmsr=53,wrmsr=37,hypercall=71,page=43,mmio=40,hlt=59,cr0=29,cr4=17,"
    "irq=19,irqwin=31,ud=7,pause=50,spin=2000"
)
MIXES: Final = {
    "demo": {
        "vmx": _X64_DEMO + ",xsetbv=23",
        "svm": _X64_DEMO,
        "arm64": "hypercall=71,smc=41,sys64=67,page=43,exec=29,mmio=59,wfi=61,irq=19,spin=2000",
    }
}
"""Named workloads; `demo` is a busy guest with exits of most kinds."""


def parse(text: str) -> Workload:
    """Parse ``kind=count,kind@argument=count,…``; numbers may be hexadecimal.

    Raises:
        WorkloadError: The text is invalid, or a kind is unknown.
    """
    return tuple(_step(item.strip()) for item in text.split(",") if item.strip())


def _step(item: str) -> Step:
    what, _, count = item.partition("=")
    name, at, arg = what.partition("@")
    kind = KINDS.get(name)
    if kind is None:
        raise WorkloadError(f"unknown kind {name!r}; known kinds: {' '.join(KINDS)}")
    if at and not kind.arg_name:
        raise WorkloadError(f"{item!r}: {name} takes no argument")
    units = _number(count, item, range(1, 1 << 63))
    return Step(name, units, _number(arg, item, range(kind.arg_max + 1)) if at else kind.arg)


def _number(text: str, item: str, allowed: range) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise WorkloadError(f"{item!r} is not kind=count or kind@argument=count") from None
    if value not in allowed:
        raise WorkloadError(f"{item!r}: {text} is not within {allowed[0]:#x} … {allowed[-1]:#x}")
    return value


def require(workload: Workload, isa: str) -> None:
    """Raise `WorkloadError` unless `isa` has all kinds and they can share a VM."""
    for step in workload:
        if isa not in KINDS[step.kind].isas:
            raise WorkloadError(f"{isa} has no {step.kind}")
    wants_irqchip(workload, isa)


def wants_irqchip(workload: Workload, isa: str) -> bool:
    """Return whether the workload needs an interrupt controller in the kernel.

    Raises:
        WorkloadError: One kind needs it, and another one cannot run with it.
    """
    wishes = {step.kind: KINDS[step.kind].irqchip.get(isa) for step in workload}
    present = [kind for kind, wish in wishes.items() if wish is True]
    absent = [kind for kind, wish in wishes.items() if wish is False]
    if present and absent:
        raise WorkloadError(f"{present[0]} needs an irqchip in the kernel, {absent[0]} needs none")
    return bool(present)


def halves(workload: Workload) -> tuple[Workload, Workload]:
    """Return the work of a moving vCPU before and after the move; odd units are after it."""
    first = [replace(step, count=step.count // 2) for step in workload]
    second = [replace(step, count=step.count - step.count // 2) for step in workload]
    return tuple(step for step in first if step.count), tuple(second)


def mix(name: str, isa: str) -> Workload:
    """Return a workload of `MIXES` for an ISA."""
    try:
        return parse(MIXES[name][isa])
    except KeyError:
        raise WorkloadError(
            f"unknown mix {name!r} for {isa}; known mixes: {' '.join(MIXES)}"
        ) from None


def expected(workload: Workload, isa: str, *, laps: int = 1, moves: bool = False) -> Counts:
    """Return the exits of one vCPU, {(ISA, kernel's name): count}, where the count is certain.

    Includes those of the vCPU's start and of its rings. `inexact` returns the others.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for exit_, count in expected_exits(workload, isa, laps=laps, moves=moves).items():
        counts[exit_.isa, exit_.name] += count
    return dict(counts)


def expected_exits(
    workload: Workload, isa: str, *, laps: int = 1, moves: bool = False
) -> dict[Exit, int]:
    """Return `expected` by `Exit`: with numbers, and on SVM with separate MSR reads and writes."""
    vague = inexact(workload, isa)
    counts: Counter[Exit] = Counter()
    for rule, units in _rules(workload, isa, laps, RINGS + moves):
        counts[rule.exit] += rule.count(units)
    return {exit_: count for exit_, count in counts.items() if count and exit_ not in vague}


def expected_halves(workload: Workload, isa: str, *, laps: int = 1) -> tuple[Counts, Counts]:
    """Return `expected` on the CPU that a moving vCPU leaves, and on the one it moves to.

    The ring that requests the move exits on the first CPU.
    """
    whole = expected(workload, isa, laps=laps, moves=True)
    left = expected(halves(workload)[0], isa, laps=laps)
    first = {name: left.get(name, 0) for name in whole}
    return first, {name: count - first[name] for name, count in whole.items()}


def inexact(workload: Workload, isa: str) -> frozenset[Exit]:
    """Return the exits without a certain count: the host's own, and those of inexact kinds."""
    vague = {rule.exit for rule, _ in _rules(workload, isa, 1, RINGS) if not rule.exact}
    return ANY_TIME[isa] | vague


def expected_user(
    workload: Workload, isa: str, *, laps: int = 1, moves: bool = False
) -> dict[str, int]:
    """Return one vCPU's exits to user space by KVM's name, without interrupted runs (INTR)."""
    counts: Counter[str] = Counter()
    for kind, units in _units(workload, laps, RINGS + moves):
        for name in kind.user.get(isa, ()):
            counts[name] += units
    return dict(counts)


def injected(workload: Workload, *, laps: int = 1) -> int:
    """Return the number of interrupts that the VMM injects into one vCPU.

    The x64 kernel may count more: if something interrupts it before the entry, it cancels the
    injection and repeats it.
    """
    return sum(KINDS[step.kind].injects * step.count * laps for step in workload)


def _rules(workload: Workload, isa: str, laps: int, rings: int) -> Iterator[tuple[Rule, int]]:
    for kind, units in _units(workload, laps, rings):
        yield from ((rule, units) for rule in kind.rules if rule.exit.isa == isa)


def _units(workload: Workload, laps: int, rings: int) -> Iterator[tuple[Kind, int]]:
    units: Counter[str] = Counter()
    for step in workload:
        units[step.kind] += step.count
    yield START, 1
    yield BELL, laps * rings
    yield from ((KINDS[name], laps * count) for name, count in units.items())
