"""Where the time of vCPU threads goes: bpf/vcpu_time.c."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import BtfField, Category
from kstats.collector.draft import Draft
from kstats.collector.feature import Feature
from kstats.collector.layout import Layout
from kstats.collector.percpu import ON_ENTRY
from kstats.host import Host
from kstats.loader.plan import Attachment, MapSize
from kstats.loader.program import Loaded
from kstats.loader.records import COUNT, U32, U64, Record
from kstats.model import VcpuTime
from kstats.vms.identity import Thread
from kstats.vms.proc import Proc

VCPU_TIMES = 8192
"""Threads whose time can be measured at once."""

_STATES = 8
_GUEST, _KERNEL, _VMM, _HALTED, _WAITING, _ENDED = range(6)
_AMOUNTS = 5
_UNKNOWN = 255
_TRIES = 3
_HALTS = "kvm_vcpu_"
_ASLEEP = "S"
_VMM_WAITS = "futex_"  # a condition variable, on which VMMs block paused vCPUs

TASK = (
    BtfField("TASK_PID_OFFSET", ("task_struct.pid",)),
    BtfField("TASK_TGID_OFFSET", ("task_struct.tgid",)),
    # "sched: Change task_struct::state" (5.14) renamed it.
    BtfField("TASK_STATE_OFFSET", ("task_struct.__state", "task_struct.state")),
)
"""What the C reads of a thread that is not the current one."""


class VcpuTimeRecord(Record):
    """The record of a thread: see struct vcpu_time in bpf/vcpu_time.c."""

    c_name = "vcpu_time"
    _fields_ = (
        ("changed", U64),
        ("ns", U64 * _STATES),
        ("since", U64),
        ("waited", U64),
        ("ready", U64),
        ("code", U64),
        ("state", U32),
        ("asleep", U32),
        ("first", U32),
        ("padding", U32),
        ("changing", U64),
    )

    @classmethod
    def complete(cls, value: bytes) -> VcpuTimeRecord | None:
        """Return the record, or None if it was read during a change."""
        record = cls.from_buffer_copy(value)
        return record if record.changed == record.changing else None


def asleep(host: Host, threads: Iterable[Thread]) -> dict[int, bool]:
    """Return the threads that sleep, and whether KVM halted them; others wait in their VMM.

    Threads that sleep elsewhere, for example until a page is read in, are left out.
    """
    found = {}
    for thread in threads:
        where = _sleeps_in(host, thread)
        if where.startswith((_HALTS, _VMM_WAITS)):
            found[thread.pid << 32 | thread.tid] = where.startswith(_HALTS)
    return found


def _sleeps_in(host: Host, thread: Thread) -> str:
    """Return the beginning of the kernel function that a thread sleeps in (proc(5), wchan)."""
    folder = f"proc/{thread.pid}/task/{thread.tid}"
    where = host.read(f"{folder}/wchan") or ""
    if where != "0":
        return where
    # x86 reports 0 before "x86: Fix get_wchan() to support the ORC unwinder" (5.16). The stack
    # begins with that function, but also that of a thread that has just been woken.
    stack = host.read(f"{folder}/stack") or ""
    asleep = Proc(host.root).state(thread.pid, thread.tid) == _ASLEEP
    return stack.removeprefix("[<0>] ") if asleep else ""


Totals: TypeAlias = tuple[int, ...]
"""Nanoseconds in guest, kernel, VMM, halted and waiting, the current state included."""


@attrs.frozen(eq=False)
class Reading:
    """Running totals by thread.

    Attributes:
        now: The moment, in nanoseconds of the monotonic clock.
        totals: Totals by thread, at that moment.
        first: The state before a thread's first event: it had lasted since before kstats began.
        dropped: Events of threads that did not fit in the table.
    """

    now: int
    totals: Mapping[int, Totals]
    first: Mapping[int, int]
    dropped: int


class VcpuTimeReader:
    """Reads the records, and deletes those of threads that ended."""

    def __init__(self, loaded: Loaded, layout: Layout) -> None:
        self._times = loaded.maps["vcpu_times"]
        self._dropped = loaded.maps["time_dropped"]
        self._layout = layout
        self._last: dict[int, VcpuTimeRecord] = {}

    def read(self) -> Reading:
        """Return the totals."""
        now = time.monotonic_ns()
        records = self._last = dict(self._records())
        totals = {thread: self._totals(record, now) for thread, record in records.items()}
        first = {thread: record.first for thread, record in records.items()}
        for thread, record in records.items():
            if record.state == _ENDED:
                self._times.delete(COUNT.pack(thread))
        return Reading(now, totals, first, self._dropped.sum_cpus(len(self._layout.cpus)))

    def follow(self, sleepers: Mapping[int, bool]) -> None:
        """Add records of threads that sleep and had no event yet: see :func:`asleep`."""
        idle = _idle_code(self._layout.isa)
        now = time.monotonic_ns()
        for thread, halted in sleepers.items():
            state, code = (_KERNEL, idle) if halted else (_VMM, 0)
            record = VcpuTimeRecord(since=now, code=code, state=state, asleep=1, first=_UNKNOWN)
            self._times.add(COUNT.pack(thread), bytes(record))

    def _records(self) -> Iterator[tuple[int, VcpuTimeRecord]]:
        for key, value in self._times.items():
            (thread,) = COUNT.unpack(key)
            # A change takes less than a microsecond, unless a hypervisor below takes the CPU
            # away: then the last reading has to do.
            record = VcpuTimeRecord.complete(value) or self._read_again(key)
            record = record or self._last.get(thread)
            if record:
                yield thread, record

    def _read_again(self, key: bytes) -> VcpuTimeRecord | None:
        for _ in range(_TRIES):
            value = self._times.read(key)
            record = VcpuTimeRecord.complete(value) if value else None
            if record:
                return record
        return None

    def _totals(self, record: VcpuTimeRecord, now: int) -> Totals:
        ns = list(record.ns[:_AMOUNTS])
        if record.state != _ENDED:
            waited = record.waited + (now - record.ready if record.ready else 0)
            ns[self._state(record)] += now - record.since - waited
            ns[_WAITING] += waited
        return tuple(ns)

    def _state(self, record: VcpuTimeRecord) -> int:
        """Return the current state. KVM reports a halt only when it is over."""
        idle = arches.reason(self._layout.isa, record.code).category is Category.IDLE
        return _HALTED if record.state == _KERNEL and idle else record.state


def _idle_code(isa: str) -> int:
    """Return a code of an idle guest's exits; 0 if the ISA has none."""
    reasons = (isa_.reasons.items() for isa_ in lookup.isas() if isa_.name == isa)
    idle = (code for items in reasons for code, r in items if r.category is Category.IDLE)
    return next(idle, 0)


def vcpu_time(before: Reading, now: Reading) -> dict[int, VcpuTime]:
    """Return where the time between two readings went, by thread."""
    found = {}
    for thread, totals in now.totals.items():
        then = before.totals.get(thread) or _before(now.first[thread], before.now)
        grown = [n - o for n, o in zip(totals, then, strict=True)]
        if any(grown):
            found[thread] = VcpuTime(*_settled(grown))
    return found


def _before(first: int, moment: int) -> Totals:
    """Return the totals of a thread at a moment before its first event."""
    return tuple(moment if state == first else 0 for state in range(_AMOUNTS))


def _settled(grown: list[int]) -> list[int]:
    """Clamp negative amounts, which come from wrong guesses about the current state.

    A vCPU that seemed halted, for example, was not yet. The same nanoseconds are then also part
    of other amounts: they are taken from the largest first, so that the sum stays the same.
    """
    debt = sum(-n for n in grown if n < 0)
    settled = [max(n, 0) for n in grown]
    for i in sorted(range(len(settled)), key=settled.__getitem__, reverse=True):
        taken = min(settled[i], debt)
        settled[i] -= taken
        debt -= taken
    return settled


@attrs.frozen(eq=False)
class VcpuTimes(Feature):
    """Where the time of vCPU threads goes. It needs exits by thread.

    Attributes:
        sleepers: Returns the threads that sleep (:func:`asleep`): they have no event until they
            are woken.
        vcpu_times: Threads whose time can be measured at once.
    """

    sleepers: Callable[[], Mapping[int, bool]] = dict
    vcpu_times: int = VCPU_TIMES

    files = ("vcpu_time.c", "entries.c")
    btf = TASK
    attachments = (
        ON_ENTRY,
        Attachment("kvm_userspace_exit", "leave_kernel", "raw"),
        Attachment("kvm_vcpu_wakeup", "wake_up", "raw"),
        Attachment("sched_switch", "switch_threads", "raw"),
        Attachment("sched_wakeup", "make_ready", "raw"),
        Attachment("sched_process_exit", "end_thread_time", "raw"),
    )
    counted = ("vcpu_time",)

    @property
    def maps(self) -> tuple[MapSize, ...]:
        return (MapSize("vcpu_times", self.vcpu_times), MapSize("time_dropped"))

    @property
    def defines(self) -> Mapping[str, int]:
        return {"KSTATS_VCPU_TIME": 1}

    def reader(self, loaded: Loaded, layout: Layout) -> Callable[[], Reading]:
        reader = VcpuTimeReader(loaded, layout)
        # Look for sleepers once the program is attached: it sees those that wake up from now on.
        reader.follow(self.sleepers())
        return reader.read

    def fill(self, draft: Draft, before: Reading, now: Reading) -> None:
        """Fill where the time went. The sample lasts from reading to reading, so it adds up."""
        draft.fields |= {
            "elapsed": (now.now - before.now) / 1e9,
            "vcpu_time": vcpu_time(before, now),
            "time_dropped": now.dropped - before.dropped,
        }
