"""Read traces of kvm:kvm_exit and kvm:kvm_entry: perf, ftrace, trace-cmd, printf of bpftrace.

:mod:`.trace_lines` finds the events; here each exit gets its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import attrs

from kstats.arch.base import Isa
from kstats.importers.evidence import Clue, Fit, fit
from kstats.importers.lines import Line, Problems
from kstats.importers.sample_builder import MOST_PLACES, NO_THREAD, SampleBuilder
from kstats.importers.trace_lines import (
    ENTRY,
    EXIT,
    HIGHEST_CPU,
    HIGHEST_TID,
    TICKS,
    Event,
    Lost,
    Style,
    Task,
    events,
)
from kstats.model import Sample

_FIELD = re.compile(r"(?<![\w.])([a-z]\w{1,31}) ?[=:] ?(?=(-?\w{1,32}))", re.ASCII)
_VCPU = re.compile(r"vcpu(?:_id)?[ =:]{1,2}(\d{1,10})\b", re.ASCII)
_HIGHEST_VCPU = 1 << 16
_MOST_DIGITS = 10
_YEAR_10000 = 253_402_300_800
_ONLY_A_NUMBER = "a number alone before an event is taken for its thread, and not for a count"


def clues(style: Style, lines: Iterable[Line], isas: tuple[Isa, ...]) -> Iterator[Clue]:
    """Yield a clue for each exit."""
    for event in events(lines, style, Problems()):
        if isinstance(event, Event) and event.name == EXIT:
            found = {isa: exit_ for isa in isas if (exit_ := _read_exit(isa, event))}
            if len(found) == 1:  # what no other ISA prints is certain, also without a known name
                yield Clue({isa.name: Fit.CERTAIN for isa in found})
            else:
                fits = ((isa.name, _fit(isa, exit_)) for isa, exit_ in found.items())
                yield Clue({name: how for name, how in fits if how is not None})


def _fit(isa: Isa, exit_: _Exit) -> Fit | None:
    """Return how well an ISA explains an exit that others can explain, too; numbers say nothing."""
    if exit_.code & isa.flag_mask and exit_.code & ~isa.flag_mask in isa.reasons:
        return Fit.CERTAIN
    how = fit(isa, exit_.name)
    # Before they printed info, kernels had names in lower case on VMX as on SVM.
    is_old = exit_.name.islower() and " info" not in exit_.text
    return Fit.CERTAIN if how is Fit.EXACT and not is_old else how


class _Exit(NamedTuple):
    """The code and the vCPU of an exit, its name as printed, the whole text, and its fields."""

    code: int
    vcpu: int | None
    name: str
    text: str
    fields: Mapping[str, str] = MappingProxyType({})


def _read_exit(isa: Isa, event: Event) -> _Exit | None:
    """Return the exit of an event; None if its text is of another ISA, or damaged."""
    if not event.pieces:
        return _parse(isa, event.text)
    return next((found for text in event.texts() if (found := _parse(isa, text))), None)


def _parse(isa: Isa, text: str) -> _Exit | None:
    if isa.event is None:
        return None
    match = re.match(isa.event.pattern, text)
    code = isa.event.code(isa, match) if match else None
    if match and code is not None:
        groups = match.groupdict()
        return _Exit(code, _vcpu(groups.get("vcpu")), groups.get("name") or "", text)
    fields: dict[str, str] = dict(_FIELD.findall(text)) if isa.event.fields else {}
    code = isa.event.fields(isa, fields) if isa.event.fields and fields else None
    if code is None:
        return None
    name = fields.get("exit_reason", fields.get("reason", ""))
    return _Exit(code, _vcpu(fields.get("vcpu_id", fields.get("vcpu"))), name, text, fields)


def _task(fields: Mapping[str, str], found: Task) -> Task:
    """Return the task of an event that scripts and LTTng print among its fields."""

    def number(highest: int, *names: str) -> int:
        texts = (fields.get(name, "") for name in names)
        value = next((int(text) for text in texts if re.fullmatch(r"[0-9]{1,10}", text)), -1)
        return value if value <= highest else -1

    tid = number(HIGHEST_TID, "tid", "vtid", "perf_tid")
    pid = number(HIGHEST_TID, "tgid", "vpid", "perf_pid", "pid")
    cpu = number(HIGHEST_CPU, "cpu", "cpu_id")
    where = found.cpu if cpu < 0 else cpu
    return Task(found.comm, max(pid, 0), tid, where) if tid > 0 else attrs.evolve(found, cpu=where)


def _vcpu(text: str | None) -> int | None:
    number = int(text) if text and text.isdigit() and len(text) <= _MOST_DIGITS else None
    return number if number is not None and number < _HIGHEST_VCPU else None


@attrs.define
class _Clock:
    """The clock of a trace. Samples end at multiples of ``interval`` after the first event."""

    interval: float | None
    first: float | None = None
    start: float = 0.0
    last: float = 0.0

    def ends(self, time: float) -> tuple[float, float] | None:
        """Return end and length of the sample that ends before ``time``; None if none does."""
        if self.first is None:
            self.first = self.start = self.last = time
        if self.interval is None or time < self.start + self.interval:
            self.last = max(self.last, time)
            return None
        passed = (time - self.first) // self.interval
        start, self.start = self.start, max(self.first + passed * self.interval, self.start)
        self.last = max(self.last, time)
        return self.start, self.start - start

    def rest(self) -> tuple[float, float]:
        """Return end and length of the last sample."""
        return self.last, self.last - self.start


class _Reader:
    """Reader of one trace."""

    def __init__(self, isa: Isa, problems: Problems, slower_than: int | None) -> None:
        self._isa = isa
        self._problems = problems
        self._slower_than = slower_than
        self._open: dict[int, tuple[float, int, int, int]] = {}
        self._vcpus: dict[int, int] = {}
        self.builder = SampleBuilder(isa)

    def lose(self, lost: Lost) -> None:
        """Account for events that the tracer dropped; entries may be among them."""
        self._open.clear()
        if lost.count is None:
            self._problems.remark("the tracer lost events, and does not say how many")
        else:
            self._problems.lost += lost.count

    def count(self, event: Event) -> None:
        """Count an entry or exit."""
        if event.time is not None and event.time >= _YEAR_10000:  # a damaged line
            self._problems.add(event.line, exits=int(event.name == EXIT))
        elif event.name == ENTRY:
            self.builder.entries(event.task.cpu, event.count)
            self._enter(event)
        else:
            self._exit(event)

    def _exit(self, event: Event) -> None:
        found = _read_exit(self._isa, event)
        if found is None:
            self._problems.add(event.line, exits=event.count)
            return
        task = event.task if event.task.tid else _task(found.fields, event.task)
        thread = self._thread(task, found.vcpu)
        if task == Task(tid=task.tid, pid=task.pid) and task.tid and event.time is None:
            self._problems.remark(_ONLY_A_NUMBER)
        self.builder.exits(found.code, event.count, cpu=task.cpu, thread=thread)
        if self._slower_than is not None and event.time is not None and task.tid:
            self._open[task.tid] = event.time, found.code, task.cpu, thread

    def _enter(self, event: Event) -> None:
        """Keep the vCPU of the thread, and its last exit, if that took long enough."""
        tid = event.task.tid
        if tid is None:
            return
        vcpu = _VCPU.match(event.text)
        if vcpu and (number := _vcpu(vcpu[1])) is not None and len(self._vcpus) < MOST_PLACES:
            self._vcpus[tid] = number
        last = self._open.pop(tid, None)
        if last and event.time is not None and self._slower_than is not None:
            began, code, cpu, thread = last
            ns = round((event.time - began) * 1e9)
            if ns > self._slower_than:
                self.builder.slow(event.time, code, cpu, thread, ns)

    def _thread(self, task: Task, vcpu: int | None) -> int:
        """Return the thread of an exit; old kernels print the vCPU only for entries."""
        if task.tid is None:
            return NO_THREAD
        known = self._vcpus.get(task.tid) if vcpu is None else vcpu
        return self.builder.thread(task.pid, task.tid, task.comm, known)


def read(  # noqa: PLR0913 - the arguments of every format, and its own
    style: Style,
    lines: Iterable[Line],
    isa: Isa,
    problems: Problems,
    interval: float | None,
    *,
    slower_than: int | None = None,
) -> Iterator[Sample]:
    """Yield the samples of a trace."""
    reader, clock = _Reader(isa, problems, slower_than), _Clock(interval)
    for event in events(lines, style, problems):
        if isinstance(event, Lost):
            reader.lose(event)
            continue
        if event.time == TICKS:
            problems.remark("times are not used: they are ticks of a clock without a unit")
            event.time = None
        if event.time is not None and event.time < _YEAR_10000:
            over = clock.ends(event.time)
            if over and not reader.builder.is_empty:
                yield reader.builder.sample(*over)
        reader.count(event)
    if not reader.builder.is_empty:
        yield reader.builder.sample(*clock.rest())
