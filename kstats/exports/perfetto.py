"""A trace for Perfetto: a track for each vCPU, a slice for each exit that was kept.

Slices are slow exits, from the exit to the next entry. Counters have the exits per second of the
host by category. The format is perfetto/protos/perfetto/trace/perfetto_trace.proto of Perfetto;
constants below are its field numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.escape import printable
from kstats.exports.protobuf import double, integer, message, text
from kstats.model import Sample, SlowExit
from kstats.views.exits import vm_names
from kstats.vms.identity import Thread

_PACKET = 1
_CLOCKS, _TIME, _SEQUENCE, _EVENT, _DESCRIPTOR = 6, 8, 10, 11, 60
"""Fields of TracePacket."""

_UUID, _NAME, _PROCESS, _THREAD, _PARENT, _COUNTER = 1, 2, 3, 4, 5, 8
"""Fields of TrackDescriptor."""

_ANNOTATION, _TYPE, _TRACK, _CATEGORY, _EVENT_NAME, _VALUE = 4, 9, 11, 22, 23, 44
"""Fields of TrackEvent."""

_BEGIN, _END, _COUNT = 1, 2, 4
"""Types of TrackEvent."""

_REALTIME, _BOOTTIME = 1, 6
"""Clocks: without a clock, times are of BOOTTIME."""

_OUR_SEQUENCE = 1
_NOBODY = 0
"""The track of exits without a thread."""

_COUNTERS = 1 << 63
"""Tracks of counters have this and the number of their category; those of threads have not."""


def trace(samples: Iterable[Sample]) -> Iterator[bytes]:
    """Yield a trace in parts: samples must come in order."""
    known: set[int] = set()
    ends: dict[int, int] = {}
    first = True
    for sample in samples:
        if first:
            yield _snapshot(_nanoseconds(sample.time - sample.elapsed))
            first = False
        yield from _counters(sample, known)
        for exit_ in sample.slow:
            track = exit_.place.thread
            if track not in known:
                known.add(track)
                yield from _thread_track(track, sample)
            end = _nanoseconds(exit_.time)
            # Times are rounded; slices of a vCPU must not overlap.
            begin = max(end - exit_.duration, ends.get(track, 0))
            ends[track] = max(end, begin)
            yield _packet(begin, _begin(exit_, track, sample))
            yield _packet(ends[track], integer(_TYPE, _END) + integer(_TRACK, _uuid(track)))


def _uuid(track: int) -> int:
    return track + 1  # 0 is Perfetto's own track


def _begin(exit_: SlowExit, track: int, sample: Sample) -> bytes:
    reason = arches.reason(*exit_.code)
    cpu = exit_.place.cpu
    notes = {"isa": exit_.code[0], "code": f"{exit_.code[1]:#x}", "meaning": reason.meaning}
    if exit_.place.detail is not None and sample.detail:
        kind = arches.detail(exit_.code[0], sample.detail)
        notes[sample.detail] = kind.text(exit_.place.detail) if kind else ""
    return b"".join(
        (
            integer(_TYPE, _BEGIN),
            integer(_TRACK, _uuid(track)),
            text(_CATEGORY, str(reason.category)),
            text(_EVENT_NAME, printable(reason.name)),
            *(_annotation(name, text(6, printable(note, 300))) for name, note in notes.items()),
            *((_annotation("cpu", integer(4, cpu)),) if cpu >= 0 else ()),
        )
    )


def _annotation(name: str, value: bytes) -> bytes:
    return message(_ANNOTATION, text(10, name), value)


def _thread_track(number: int, sample: Sample) -> Iterator[bytes]:
    thread = sample.threads.get(number)
    if thread is None:
        name = "unattributed" if number == _NOBODY else f"thread {number & 0xFFFF_FFFF}"
        yield _descriptor(integer(_UUID, _uuid(number)), text(_NAME, name))
        return
    vm = printable(vm_names(sample.threads.values())[thread.vm])
    process = message(_PROCESS, integer(1, thread.pid), text(6, vm))
    yield _descriptor(integer(_UUID, _uuid(thread.pid << 32)), process)
    described = (integer(1, thread.pid), integer(2, thread.tid), text(5, _vcpu(thread)))
    yield _descriptor(integer(_UUID, _uuid(number)), message(_THREAD, *described))


def _vcpu(thread: Thread) -> str:
    return f"vCPU {'?' if thread.vcpu is None else thread.vcpu}"


def _counters(sample: Sample, known: set[int]) -> Iterator[bytes]:
    """Yield the exits per second of each category, from the beginning of the sample on."""
    if sample.elapsed <= 0:
        return
    counts: Counter[Category] = Counter()
    for code, places in sample.exits.items():
        counts[arches.reason(*code).category] += sum(exits.count for exits in places.values())
    counts[Category.OTHER] += sum(sample.code_dropped.values())
    begin = _nanoseconds(sample.time - sample.elapsed)
    for number, category in enumerate(Category):
        track = _COUNTERS | number
        if track not in known:
            if not counts[category]:
                continue
            known.add(track)
            unit = message(_COUNTER, text(6, "exits/s"))
            yield _descriptor(integer(_UUID, track), text(_NAME, f"{category} exits"), unit)
        value = double(_VALUE, counts[category] / sample.elapsed)
        yield _packet(begin, integer(_TYPE, _COUNT) + integer(_TRACK, track) + value)


def _snapshot(time: int) -> bytes:
    """Return the packet that says that times are those of the wall clock."""
    clocks = (message(1, integer(1, clock), integer(2, time)) for clock in (_BOOTTIME, _REALTIME))
    return message(_PACKET, message(_CLOCKS, *clocks), integer(_SEQUENCE, _OUR_SEQUENCE))


def _packet(time: int, event: bytes) -> bytes:
    sequence = integer(_SEQUENCE, _OUR_SEQUENCE)
    return message(_PACKET, integer(_TIME, time), sequence, message(_EVENT, event))


def _descriptor(*parts: bytes) -> bytes:
    sequence = integer(_SEQUENCE, _OUR_SEQUENCE)
    return message(_PACKET, sequence, message(_DESCRIPTOR, *parts))


def _nanoseconds(seconds: float) -> int:
    return max(round(seconds * 1e9), 0)
