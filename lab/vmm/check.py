"""Check the table of exits against the running kernel: ``python3 vmm.py --check``.

Run every kind alone, then all of them together, on several vCPUs and CPUs. The kernel's own trace
counts the exits; kstats is not used.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from .counted import Counted, Totals, add_up, events, misnumbered, title
from .fleet import Fleet
from .host import lacking
from .kinds import ARM64, KINDS
from .kvm import System
from .runner import Plan
from .tracing import Trace
from .workload import (
    Step,
    Workload,
    expected_exits,
    expected_halves,
    expected_user,
    inexact,
    injected,
)

_UNITS: Final = 37
_DEADLINE: Final = 300.0  # seconds for one case
_TIMERS: Final = frozenset({"sleep", "wfi"})  # their interrupts come from timers, not from the VMM


@dataclass
class Verdict:
    """The compared numbers as text, and whether all are right."""

    what: str
    numbers: list[str] = field(default_factory=list)
    good: bool = True

    def __str__(self) -> str:
        return f"{'ok' if self.good else 'FAIL':6}{self.what}: {', '.join(self.numbers)}"

    def add(self, name: str, counted: int, expected: int | None, *, more: bool = False) -> None:
        """Compare one number; None accepts any, and `more` accepts larger ones."""
        if expected is None:
            self.numbers.append(f"{name} {counted} (any)")
        elif counted == expected or (more and counted > expected):
            self.numbers.append(f"{name} {counted}")
        else:
            self.numbers.append(f"{name} {counted} INSTEAD OF {expected}")
            self.good = False

    def add_all(
        self, counted: Mapping[str, int], expected: Mapping[str, int], vague: Collection[str]
    ) -> None:
        """Compare all numbers that were counted or expected."""
        for name in sorted({*counted, *expected}):
            wanted = None if name in vague else expected.get(name, 0)
            self.add(name, counted.get(name, 0), wanted)


def main(plan: Plan) -> int:
    """Run every case and print its counts; return 1 if one is wrong."""
    lacks = lacking(plan.isa)
    for kind, why in lacks.items():
        print(f"skip  {kind}: {why}")
    with _idle_vm(), Trace(events(plan.isa)) as trace:
        good = _check_numbers(plan.isa, trace)
        for what, case in _cases(plan, lacks):
            for verdict in _run(what, case, trace):
                print(verdict, flush=True)
                good &= verdict.good
    return int(not good)


@contextmanager
def _idle_vm() -> Iterator[None]:
    """Keep a VM, because the first and the last VM of a host make the kernel patch its code."""
    vm = System().create_vm()
    yield
    os.close(vm.fd)


def _check_numbers(isa: str, trace: Trace) -> bool:
    wrong = misnumbered(isa, trace.format("kvm_exit"))
    for exit_ in wrong:
        print(f"FAIL  {exit_.name} is not {exit_.code} in this kernel")
    return not wrong


def _cases(base: Plan, lacks: Container[str]) -> Iterator[tuple[str, Plan]]:
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    alone = replace(base, vms=1, vcpus=1, cpus=cpus[-1:], move=(), laps=1)
    for kind in KINDS.values():
        if base.isa in kind.isas and kind.name not in lacks:
            yield kind.name, replace(alone, workload=_work(kind.name))
    together = replace(alone, workload=_together(base.isa, lacks))
    yield "together", together
    yield "three laps", replace(together, laps=3)
    yield "2 VMs of 2 vCPUs", replace(together, vms=2, vcpus=2, cpus=cpus)
    yield "4 vCPUs on one CPU", replace(together, vcpus=4)
    if len(cpus) > 1:
        yield "moved half-way", replace(together, cpus=cpus[:1], move=cpus[1:2])


def _work(*kinds: str) -> Workload:
    return tuple(Step(kind, _UNITS, KINDS[kind].arg) for kind in kinds)


def _together(isa: str, lacks: Container[str]) -> Workload:
    """Return a unit of every kind that has exact numbers and can share a VM with others."""
    kinds = (kind for kind in KINDS.values() if isa in kind.isas and kind.name not in lacks)
    shared = (kind for kind in kinds if isa == ARM64 or not kind.irqchip.get(isa))
    return _work(*(k.name for k in shared if any(r.exact for r in k.rules if r.exit.isa == isa)))


def _run(what: str, plan: Plan, trace: Trace) -> Iterator[Verdict]:
    deadline = time.monotonic() + _DEADLINE
    trace.clear()
    with Fleet(plan) as fleet:
        fleet.ready(deadline)
        fleet.start()
        reports = fleet.reports(deadline)
        totals = add_up(plan.isa, trace.events())
    for vm in reports:
        for vcpu in vm["vcpus"]:
            yield _judge_thread(_name(what, plan, vm, vcpu), plan, totals.threads[vcpu["tid"]])
    if plan.move:
        yield from _judge_cpus(what, plan, totals)


def _name(what: str, plan: Plan, vm: Mapping[str, Any], vcpu: Mapping[str, Any]) -> str:
    many = plan.vms * plan.vcpus > 1
    return f"{what}, VM {vm['pid']} vCPU {vcpu['vcpu']}" if many else what


def _judge_thread(what: str, plan: Plan, counted: Counted) -> Verdict:
    verdict = Verdict(what)
    work, isa, laps, moves = plan.workload, plan.isa, plan.laps, bool(plan.move)
    exits = expected_exits(work, isa, laps=laps, moves=moves)
    verdict.add_all(counted.exits, {title(e): n for e, n in exits.items()}, _vague(plan))
    user = expected_user(work, isa, laps=laps, moves=moves)
    verdict.add_all(counted.user_exits, user, {"restart"})
    verdict.add("entries", counted.entries, counted.exits.total())
    injections = None if _TIMERS & {step.kind for step in work} else injected(work, laps=laps)
    verdict.add("injections", counted.injected, injections, more=isa != ARM64)
    return verdict


def _vague(plan: Plan) -> set[str]:
    return {title(exit_) for exit_ in inexact(plan.workload, plan.isa)}


def _judge_cpus(what: str, plan: Plan, totals: Totals) -> Iterator[Verdict]:
    halves = expected_halves(plan.workload, plan.isa, laps=plan.laps)
    for cpu, half in zip((plan.cpus[0], plan.move[0]), halves, strict=True):
        names: Counter[str] = Counter()
        for name, count in totals.cpus[cpu].exits.items():
            names[name.removesuffix(" read").removesuffix(" write")] += count
        verdict = Verdict(f"{what}, on CPU {cpu}")
        verdict.add_all(names, {name: count for (_, name), count in half.items()}, _vague(plan))
        yield verdict
