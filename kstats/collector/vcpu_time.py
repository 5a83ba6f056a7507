"""Where the time of vCPU threads goes, by bpf/spent.c: reading it, and two readings' difference."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import BtfField, Category
from kstats.collector.latency import Exits, Latencies, per_cpu_sum
from kstats.host import Host
from kstats.loader.program import Attachment, Loaded
from kstats.model import Sample, VcpuTime
from kstats.vms.identity import Thread
from kstats.vms.proc import Proc

SPENTS = 8192
"""Threads that can be followed at once."""

_STATES = 8
_GUEST, _KERNEL, _VMM, _HALTED, _WAITING, _GONE = range(6)
_AMOUNTS = 5
_UNKNOWN = 255
_TRIES = 3
_HALTS = "kvm_vcpu_"
_ASLEEP = "S"
_VMM_WAITS = "futex_"  # a condition variable, on which VMMs keep vCPUs that are paused

_RECORD = struct.Struct(f"={1 + _STATES}Q4Q4IQ")

TASK = (
    BtfField("TASK_PID_OFFSET", ("task_struct.pid",)),
    BtfField("TASK_TGID_OFFSET", ("task_struct.tgid",)),
    # "sched: Change task_struct::state" (5.14) gave it another name.
    BtfField("TASK_STATE_OFFSET", ("task_struct.__state", "task_struct.state")),
)
"""What is read of a thread that is not the current one."""


def asleep(host: Host, threads: Iterable[Thread]) -> dict[int, bool]:
    """Which threads sleep, and whether halted (by KVM) or else in their VMM.

    Of those that sleep in other functions, as for a page that is read in, nothing is known.
    """
    found = {}
    for thread in threads:
        where = _sleeps_in(host, thread)
        if where.startswith((_HALTS, _VMM_WAITS)):
            found[thread.pid << 32 | thread.tid] = where.startswith(_HALTS)
    return found


def _sleeps_in(host: Host, thread: Thread) -> str:
    """What begins with the kernel function that a thread sleeps in (proc(5), wchan)."""
    folder = f"proc/{thread.pid}/task/{thread.tid}"
    where = host.read(f"{folder}/wchan") or ""
    if where != "0":
        return where
    # x86 never told before "x86: Fix get_wchan() to support the ORC unwinder" (5.16); but the
    # stack begins with it, as that of a thread does that has just been woken.
    stack = host.read(f"{folder}/stack") or ""
    asleep = Proc(host.root).state(thread.pid, thread.tid) == _ASLEEP
    return stack.removeprefix("[<0>] ") if asleep else ""


class Record(NamedTuple):
    """struct spent of bpf/spent.c."""

    ns: tuple[int, ...]
    since: int
    waited: int
    ready: int
    code: int
    state: int
    first: int

    @classmethod
    def of(cls, value: bytes) -> Record | None:
        """The record, or None if it was read while it changed."""
        fields = _RECORD.unpack(value)
        if fields[0] != fields[-1]:
            return None
        since, waited, ready, code, state, _, first, _ = fields[1 + _STATES : -1]
        return cls(fields[1 : 1 + _STATES], since, waited, ready, code, state, first)


Totals: TypeAlias = tuple[int, ...]
"""Nanoseconds in guest, kernel, VMM, halted and waiting, what has not ended yet included."""


@attrs.frozen(eq=False)
class Snapshot:
    """Running totals by thread, at the moment ``now`` (nanoseconds of the monotonic clock).

    Of threads that were not followed from their beginning, ``first`` has the state before the
    first event: it had lasted for ever.
    """

    base: Any
    now: int
    totals: Mapping[int, Totals]
    first: Mapping[int, int]
    unseen: int


class Reader:
    """Takes snapshots; what has ended is forgotten once it has been read."""

    def __init__(self, loaded: Loaded, base: Any, isa: str, cpus: int) -> None:
        """``base`` reads the counts, on so many CPUs; codes are of ``isa``."""
        self._base = base
        self._spents = loaded.maps["vcpu_times"]
        self._unseen = loaded.maps["time_dropped"]
        self._isa = isa
        self._cpus = cpus
        self._last: dict[int, Record] = {}

    def snapshot(self) -> Snapshot:
        """The totals now."""
        base = self._base.snapshot()
        now = time.monotonic_ns()
        records = self._last = dict(self._records())
        totals = {thread: self._totals(record, now) for thread, record in records.items()}
        first = {thread: record.first for thread, record in records.items()}
        for thread, record in records.items():
            if record.state == _GONE:
                self._spents.delete(struct.pack("=Q", thread))
        return Snapshot(base, now, totals, first, per_cpu_sum(self._unseen, self._cpus))

    def follow(self, sleepers: Mapping[int, bool]) -> None:
        """Begins with threads that sleep and have had no event yet: see :func:`asleep`."""
        idle = _idle_code(self._isa)
        now = time.monotonic_ns()
        for thread, halted in sleepers.items():
            state, code = (_KERNEL, idle) if halted else (_VMM, 0)
            nothing = [0] * (1 + _STATES)
            record = _RECORD.pack(*nothing, now, 0, 0, code, state, 1, _UNKNOWN, 0, 0)
            self._spents.add(struct.pack("=Q", thread), record)

    def _records(self) -> Iterator[tuple[int, Record]]:
        for key, value in self._spents.items():
            (thread,) = struct.unpack("=Q", key)
            # Who is amid a change for long, on a CPU that a hypervisor took, is as before.
            record = Record.of(value) or self._read_again(key) or self._last.get(thread)
            if record:
                yield thread, record

    def _read_again(self, key: bytes) -> Record | None:
        # A change takes less than a microsecond: the next reading finds it complete.
        for _ in range(_TRIES):
            value = self._spents.read(key)
            record = Record.of(value) if value else None
            if record:
                return record
        return None

    def _totals(self, record: Record, now: int) -> Totals:
        ns = list(record.ns[:_AMOUNTS])
        if record.state != _GONE:
            waited = record.waited + (now - record.ready if record.ready else 0)
            ns[self._state(record)] += now - record.since - waited
            ns[_WAITING] += waited
        return tuple(ns)

    def _state(self, record: Record) -> int:
        """The state that lasts; KVM tells how long it was halted only when that is over."""
        idle = arches.reason(self._isa, record.code).category is Category.IDLE
        return _HALTED if record.state == _KERNEL and idle else record.state


def _idle_code(isa: str) -> int:
    """A code with which guests leave that have nothing to do; 0 if the ISA has none."""
    reasons = (isa_.reasons.items() for isa_ in lookup.isas() if isa_.name == isa)
    idle = (code for items in reasons for code, r in items if r.category is Category.IDLE)
    return next(idle, 0)


@attrs.frozen(eq=False)
class Spending:
    """What ``base`` counts, entries among it, and where the time of vCPU threads goes.

    ``sleepers`` finds those that sleep when it begins (:func:`asleep`): they may have no event.
    """

    base: Exits | Latencies
    threads: Exits
    sleepers: Callable[[], Mapping[int, bool]] = dict
    spents: int = SPENTS

    @property
    def files(self) -> tuple[str, ...]:
        """The files of bpf/ after the architecture's."""
        return ("vcpu_time.c", *self.base.files)

    @property
    def generated(self) -> str:
        """The filter, in C."""
        return self.base.generated

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps to read."""
        return (*self.base.maps, "vcpu_times", "time_dropped")

    @property
    def btf(self) -> tuple[BtfField, ...]:
        """Offsets that the files need."""
        return (*self.base.btf, *TASK)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Which function runs where."""
        return (
            *self.base.attachments,
            Attachment("kvm_userspace_exit", "leave_kernel", "raw"),
            Attachment("kvm_vcpu_wakeup", "wake_up", "raw"),
            Attachment("sched_switch", "switch_threads", "raw"),
            Attachment("sched_wakeup", "make_ready", "raw"),
            Attachment("sched_process_exit", "end_thread_time", "raw"),
        )

    @property
    def counted(self) -> tuple[str, ...]:
        """Which fields of its samples are counted, and whether by thread."""
        return (*self.base.counted, "vcpu_time")

    @property
    def defines(self) -> dict[str, int]:
        """The preprocessor definitions that the files need."""
        return self.base.defines | {"KSTATS_VCPU_TIME": 1, "KSTATS_VCPU_TIMES": self.spents}

    def reader(self, loaded: Loaded) -> Reader:
        """What takes the snapshots."""
        layout = self.threads.layout
        reader = Reader(loaded, self.base.reader(loaded), layout.isa, len(layout.cpus))
        # Now that it is attached: whoever wakes up from here on is seen to.
        wanted = self.threads.wanted
        reader.follow({t: halted for t, halted in self.sleepers().items() if wanted.allows(t)})
        return reader

    def sample(self, before: Snapshot, now: Snapshot, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots, and where the time between them went."""
        sample = self.base.sample(before.base, now.base, online)
        # The moments between which the time went, so that it sums to what passed.
        elapsed = (now.now - before.now) / 1e9
        dropped = now.unseen - before.unseen
        return attrs.evolve(
            sample, elapsed=elapsed, vcpu_time=_spent(before, now), time_dropped=dropped
        )


def _spent(before: Snapshot, now: Snapshot) -> dict[int, VcpuTime]:
    spent = {}
    for thread, totals in now.totals.items():
        then = before.totals.get(thread) or _before(now.first[thread], before.now)
        grown = [n - o for n, o in zip(totals, then, strict=True)]
        if any(grown):
            spent[thread] = VcpuTime(*_settled(grown))
    return spent


def _before(first: int, moment: int) -> Totals:
    """The totals of a thread at a moment before its first event."""
    return tuple(moment if state == first else 0 for state in range(_AMOUNTS))


def _settled(grown: list[int]) -> list[int]:
    """Without amounts below zero: what was thought of in-flight time, and was otherwise.

    A vCPU that seemed halted, for example, was not yet: the same nanoseconds are then part of
    another amount, and are taken from there.
    """
    debt = sum(n for n in grown if n < 0)
    settled = [max(n, 0) for n in grown]
    largest = max(range(len(settled)), key=settled.__getitem__)
    settled[largest] = max(settled[largest] + debt, 0)
    return settled
