"""One VM in one process: its vCPU threads, which answer the guest's rings."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from . import arm64, x64
from .errors import GuestError, HostError, VmmError
from .guest import FOLDER, Ring, load, program
from .kinds import ARM64
from .kvm import System, Vcpu
from .layout import Window, layout
from .machine import Machine
from .workload import Workload, expected, expected_halves, wants_irqchip

_ACCESSES: Final = frozenset({"IO", "MMIO"})
_HARMLESS: Final = frozenset({"IO", "MMIO", "HLT", "INTR", "SET_TPR"})


@dataclass(frozen=True)
class Plan:
    """What to run; vCPUs are numbered across all VMs, and CPU lists are used in turn."""

    isa: str
    workload: Workload
    vms: int = 1
    vcpus: int = 1
    cpus: tuple[int, ...] = ()  # empty: unpinned
    move: tuple[int, ...] = ()  # CPUs to move to after half of the work; empty: stay
    laps: int = 1  # 0: until stopped
    period: float = 0.0  # least seconds of a lap
    stats: bool = False  # open KVM's statistics of each vCPU
    delay: float = 0.0  # seconds until an access of a port or a device is answered
    guests: Path = FOLDER

    def cpu(self, number: int) -> int | None:
        """Return the CPU on which vCPU `number` starts; None: any."""
        return self.cpus[number % len(self.cpus)] if self.cpus else None

    def goal(self, number: int) -> int | None:
        """Return the CPU to which it moves; None: it stays."""
        return self.move[number % len(self.move)] if self.move else None


@dataclass
class VcpuReport:
    """What one vCPU did.

    `user_exits` counts returns of KVM_RUN by KVM_EXIT name; `delays` is the number of delayed
    answers, `delayed` their sum in seconds, as the VMM measured it. With delays, `around` has the
    seconds from each call of KVM_RUN to the return of the next one: no exit that the VMM answers
    between them can take longer, however late its thread runs.
    """

    vcpu: int
    tid: int = 0
    cpu: int | None = None
    moved_to: int | None = None
    laps: int = 0
    runs: int = 0
    user_exits: Counter[str] = field(default_factory=Counter)
    delays: int = 0
    delayed: float = 0.0
    around: list[float] = field(default_factory=list)
    elapsed: float = 0.0

    def as_json(self, plan: Plan) -> dict[str, Any]:
        """Return the report, with the exits that the kernel must have counted."""
        out = dict(vars(self), user_exits=dict(self.user_exits))
        out["elapsed"] = round(self.elapsed, 6)
        whole = expected(plan.workload, plan.isa, laps=self.laps, moves=bool(plan.move))
        out["expected"] = {name: count for (_, name), count in whole.items()}
        if plan.move:
            halves = expected_halves(plan.workload, plan.isa, laps=self.laps)
            out["expected_halves"] = [{n: c for (_, n), c in half.items()} for half in halves]
        return out


class VirtualMachine:
    """VM `number` of a plan; it runs once."""

    def __init__(self, plan: Plan, number: int) -> None:
        self.plan = plan
        self.stopping = threading.Event()
        self.first_is_up = threading.Event()
        self._go = threading.Event()
        self._create(number * plan.vcpus)
        for thread in self.threads:
            thread.start()
            thread.named.wait()

    def _create(self, first: int) -> None:
        plan = self.plan
        kvm = System().create_vm()
        placed = layout(plan.workload, plan.vcpus)
        code = program(plan.workload, plan.isa, moves=bool(plan.move))
        self.memory = kvm.add_memory(placed.size)
        family = arm64.Arm64 if plan.isa == ARM64 else x64.X64
        chip = wants_irqchip(plan.workload, plan.isa)
        self.machine: Machine = family(kvm, load(family.name, plan.guests), irqchip=chip)
        vcpus = [kvm.create_vcpu(window.index) for window in placed.windows]
        for vcpu, window in zip(vcpus, placed.windows, strict=True):
            self.machine.load(self.memory, window, code)
            self.machine.reset(vcpu, window)
            if plan.stats:
                vcpu.open_stats()
        self.machine.complete(plan.vcpus)
        self.threads = [
            VcpuThread(self, vcpu, window, first + window.index)
            for vcpu, window in zip(vcpus, placed.windows, strict=True)
        ]

    def start(self) -> None:
        """Let the vCPUs run."""
        self._go.set()

    def wait_for_turn(self, index: int) -> None:
        """Wait for the start; all vCPUs but the first also wait until that one has run.

        Its faults fill in the tables that all vCPUs share, see `layout`.
        """
        self._go.wait()
        if index:
            self.first_is_up.wait()

    def join(self) -> list[dict[str, Any]]:
        """Wait until all vCPUs are done; raise the first error of one of them."""
        for thread in self.threads:
            thread.done.wait()
        for thread in self.threads:
            if thread.error:
                raise thread.error
        return [thread.report.as_json(self.plan) for thread in self.threads]


class VcpuThread(threading.Thread):
    """A thread that runs one vCPU until its laps are done."""

    def __init__(self, vm: VirtualMachine, vcpu: Vcpu, window: Window, number: int) -> None:
        super().__init__(daemon=True)
        self._vm = vm
        self._vcpu = vcpu
        self._window = window
        self._lap_ends = 0.0
        self._called_before: float | None = None
        plan = vm.plan
        self.report = VcpuReport(window.index, cpu=plan.cpu(number), moved_to=plan.goal(number))
        self.named = threading.Event()
        self.done = threading.Event()
        self.error: VmmError | None = None

    def run(self) -> None:
        """Run the vCPU; called in the thread."""
        try:
            self._introduce()
            self._vm.wait_for_turn(self.report.vcpu)
            self._run_laps()
        except VmmError as error:
            self.error = error
        finally:
            self.named.set()
            self._vm.first_is_up.set()
            self.done.set()
        threading.Event().wait()  # the thread of a vCPU lives as long as its VM

    def _introduce(self) -> None:
        self.report.tid = threading.get_native_id()
        comm = Path(f"/proc/self/task/{self.report.tid}/comm")
        comm.write_text(f"CPU {self.report.vcpu}/KVM", encoding="ascii")  # as QEMU calls it
        _pin(self.report.cpu)
        self.named.set()

    def _run_laps(self) -> None:
        began = time.monotonic()
        self._lap_ends = began + self._vm.plan.period
        while self._turn():
            pass
        self.report.elapsed = time.monotonic() - began

    def _turn(self) -> bool:
        """Run the guest once and answer its exit; return whether there is more to do."""
        called = time.monotonic()
        reason = self._vcpu.run()
        if self._vm.plan.delay:
            if self._called_before is not None:
                self.report.around.append(time.monotonic() - self._called_before)
            self._called_before = called
        self.report.runs += 1
        self.report.user_exits[reason] += 1
        ring = self._vm.machine.ring(self._vcpu, reason)
        if ring is not None:
            return self._answer(ring)
        if reason == "IRQ_WINDOW_OPEN":
            self._vcpu.request_window(wanted=False)
            self._vm.machine.inject(self._vcpu)
        elif reason not in _HARMLESS:
            raise GuestError(f"vCPU {self.report.vcpu} stopped with KVM_EXIT {reason}")
        elif self._vm.plan.delay and reason in _ACCESSES:
            self._delay(self._vm.plan.delay)
        return True

    def _delay(self, seconds: float) -> None:
        began = time.monotonic()
        time.sleep(seconds)
        self.report.delayed += time.monotonic() - began
        self.report.delays += 1

    def _answer(self, ring: Ring) -> bool:
        if ring is Ring.LAP:
            return self._next_lap()
        if ring is Ring.HERE:
            self._vm.first_is_up.set()
        elif ring is Ring.HALF:
            _pin(self.report.moved_to)
        elif ring is Ring.IRQ:
            self._vm.machine.inject(self._vcpu)
        else:
            self._vcpu.request_window(wanted=True)
        return True

    def _next_lap(self) -> bool:
        self.report.laps += 1
        rest = self._lap_ends - time.monotonic()
        stopping = self._vm.stopping.wait(rest) if rest > 0 else self._vm.stopping.is_set()
        if stopping or self.report.laps == self._vm.plan.laps:
            return False
        self._lap_ends = max(self._lap_ends, time.monotonic()) + self._vm.plan.period
        self._vm.machine.freshen(self._vm.memory, self._window)
        _pin(self.report.cpu)
        return True


def _pin(cpu: int | None) -> None:
    if cpu is None:
        return
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        raise HostError(f"CPU {cpu}: {error.strerror}") from None
