"""Workloads, and the VM exits that each makes. Needs no KVM: it answers on any machine.

A workload is text such as ``cpuid=1000,io@0x80=200``: kinds (see `kinds.KINDS`), how many units
of each, and perhaps an argument. `expected` says what one vCPU that runs it makes the kernel count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from .errors import WorkloadError
from .kinds import ANY_TIME, BELL, KINDS, START, Exit, Kind, Rule

RINGS: Final = 2  # a lap begins and ends with a ring; a vCPU that moves rings half-way as well


@dataclass(frozen=True)
class Step:
    """Do one kind `count` times."""

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
"""Workloads with a name: a busy guest that makes exits of most kinds."""


def parse(text: str) -> Workload:
    """Read ``kind=count,kind@argument=count,…``; numbers may be hexadecimal.

    Raises `WorkloadError` for anything else, and for kinds that do not exist.
    """
    return tuple(_step(item.strip()) for item in text.split(",") if item.strip())


def _step(item: str) -> Step:
    what, _, count = item.partition("=")
    name, at, arg = what.partition("@")
    kind = KINDS.get(name)
    if kind is None:
        raise WorkloadError(f"unknown kind {name!r}; there are: {' '.join(KINDS)}")
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
    """Raise `WorkloadError` unless `isa` has every kind and they can share a VM."""
    for step in workload:
        if isa not in KINDS[step.kind].isas:
            raise WorkloadError(f"{isa} has no {step.kind}")
    wants_irqchip(workload, isa)


def wants_irqchip(workload: Workload, isa: str) -> bool:
    """Whether the workload needs an interrupt controller in the kernel.

    Raises `WorkloadError` if one kind needs it and another needs its absence.
    """
    wishes = {step.kind: KINDS[step.kind].irqchip.get(isa) for step in workload}
    present = [kind for kind, wish in wishes.items() if wish is True]
    absent = [kind for kind, wish in wishes.items() if wish is False]
    if present and absent:
        raise WorkloadError(f"{present[0]} needs an irqchip in the kernel, {absent[0]} needs none")
    return bool(present)


def halves(workload: Workload) -> tuple[Workload, Workload]:
    """What a moving vCPU does before and after: every step cut in two, odd units after."""
    first = [replace(step, count=step.count // 2) for step in workload]
    second = [replace(step, count=step.count - step.count // 2) for step in workload]
    return tuple(step for step in first if step.count), tuple(second)


def mix(name: str, isa: str) -> Workload:
    """A workload of `MIXES`, for one ISA."""
    try:
        return parse(MIXES[name][isa])
    except KeyError:
        raise WorkloadError(f"no mix {name!r} for {isa}; there are: {' '.join(MIXES)}") from None


def expected(workload: Workload, isa: str, *, laps: int = 1, moves: bool = False) -> Counts:
    """Exits of one vCPU by (ISA, kernel's name), for every name whose number is certain.

    Includes the start of the vCPU and its rings. `inexact` has the names that are left out.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for exit_, count in expected_exits(workload, isa, laps=laps, moves=moves).items():
        counts[exit_.isa, exit_.name] += count
    return dict(counts)


def expected_exits(
    workload: Workload, isa: str, *, laps: int = 1, moves: bool = False
) -> dict[Exit, int]:
    """Like `expected`, by `Exit`: with numbers, and on SVM with MSR reads apart from writes."""
    vague = inexact(workload, isa)
    counts: Counter[Exit] = Counter()
    for rule, units in _rules(workload, isa, laps, RINGS + moves):
        counts[rule.exit] += rule.count(units)
    return {exit_: count for exit_, count in counts.items() if count and exit_ not in vague}


def expected_halves(workload: Workload, isa: str, *, laps: int = 1) -> tuple[Counts, Counts]:
    """What `expected` is on the CPU that a moving vCPU leaves, and on the one it goes to.

    The ring that asks for the move exits on the first CPU.
    """
    whole = expected(workload, isa, laps=laps, moves=True)
    left = expected(halves(workload)[0], isa, laps=laps)
    first = {name: left.get(name, 0) for name in whole}
    return first, {name: count - first[name] for name, count in whole.items()}


def inexact(workload: Workload, isa: str) -> frozenset[Exit]:
    """Exits that may come in any number: the host's own, and those of kinds that promise none."""
    vague = {rule.exit for rule, _ in _rules(workload, isa, 1, RINGS) if not rule.exact}
    return ANY_TIME[isa] | vague


def expected_user(
    workload: Workload, isa: str, *, laps: int = 1, moves: bool = False
) -> dict[str, int]:
    """Exits to userspace of one vCPU by KVM's name; interrupted runs (INTR) come on top."""
    counts: Counter[str] = Counter()
    for kind, units in _units(workload, laps, RINGS + moves):
        for name in kind.user.get(isa, ()):
            counts[name] += units
    return dict(counts)


def injected(workload: Workload, *, laps: int = 1) -> int:
    """Interrupts that the VMM injects into one vCPU.

    The x64 kernel may count more: it takes an injection back when it is called away before the
    entry, and makes it again.
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
