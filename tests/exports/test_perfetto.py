"""Traces for Perfetto, read with Perfetto's own schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    Trace,
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)

from kstats import recording
from kstats.cli import main
from kstats.exports import protobuf
from kstats.exports.perfetto import trace
from kstats.model import Place, Sample, SlowExit
from tests.recording.samples import HEADER
from tests.samples import MOMENT
from tests.views.hosts import THREADS, WEB_0, WEB_1, happened

NS = 1_000_000_000

PERF = """\
CPU 0/KVM 100/101 [003] 50.000100000: kvm:kvm_exit: vcpu 0 reason IO_INSTRUCTION rip 0x1
CPU 1/KVM 100/102 [002] 50.000120000: kvm:kvm_exit: vcpu 1 reason HLT rip 0x1
CPU 0/KVM 100/101 [003] 50.000150000: kvm:kvm_entry: vcpu 0, rip 0x1
CPU 1/KVM 100/102 [001] 50.020120000: kvm:kvm_entry: vcpu 1, rip 0x1
CPU 0/KVM 100/101 [003] 50.030000000: kvm:kvm_exit: vcpu 0 reason HLT rip 0x1
"""


def read(data: bytes) -> Trace:
    """Return a trace; unknown fields would be a mistake in ours."""
    parsed = Trace.FromString(data)
    assert parsed.SerializeToString() == data or parsed.ByteSize() == len(data)
    return parsed


def of(samples: list[Sample]) -> Trace:
    return read(b"".join(trace(samples)))


def tracks(of: Trace) -> dict[int, TrackDescriptor]:
    return {
        p.track_descriptor.uuid: p.track_descriptor for p in of.packet if p.track_descriptor.uuid
    }


def events(of: Trace, kind: int) -> list[TracePacket]:
    return [p for p in of.packet if p.HasField("track_event") and p.track_event.type == kind]


def slices(of: Trace) -> list[tuple[str, str, int, int]]:
    """Return (thread name, event name, begin, end) of all slices, as Perfetto nests them."""
    known = tracks(of)
    found, stacks = [], {}
    for packet in sorted(
        (p for p in of.packet if p.HasField("track_event")), key=lambda p: p.timestamp
    ):
        event = packet.track_event
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            assert event.track_uuid not in stacks
            stacks[event.track_uuid] = event.name, packet.timestamp
        elif event.type == TrackEvent.TYPE_SLICE_END:
            name, begin = stacks.pop(event.track_uuid)
            thread = known[event.track_uuid].thread.thread_name
            found.append((thread, name, begin, packet.timestamp))
    assert not stacks
    return found


def test_a_slow_exit_is_a_slice_of_its_vcpu() -> None:
    slow = (
        SlowExit(MOMENT - 0.5, ("vmx", 30), Place(1, WEB_0), 2_000_000),
        SlowExit(MOMENT - 0.25, ("vmx", 48), Place(0, WEB_1), 500_000),
    )
    of_host = of([happened({("vmx", 30): {(1, WEB_0): 8}}, slow=slow)])
    ends = [round((MOMENT - before) * NS) for before in (0.5, 0.25)]
    assert slices(of_host) == [
        ("vCPU 0", "IO_INSTRUCTION", ends[0] - 2_000_000, ends[0]),
        ("vCPU 1", "EPT_VIOLATION", ends[1] - 500_000, ends[1]),
    ]
    (first, second) = events(of_host, TrackEvent.TYPE_SLICE_BEGIN)
    assert list(first.track_event.categories) == ["io"]
    notes = {note.name: note for note in first.track_event.debug_annotations}
    assert (notes["isa"].string_value, notes["code"].string_value) == ("vmx", "0x1e")
    assert notes["cpu"].int_value == 1
    described = tracks(of_host)[second.track_event.track_uuid].thread
    assert (described.pid, described.tid) == (100, 102)
    names = {t.process.pid: t.process.process_name for t in tracks(of_host).values()}
    assert names[100] == "web"


def test_counters_have_the_rates_of_each_category() -> None:
    """From the beginning of each sample on; the clock is that of the wall."""
    exits = [{("vmx", 30): {(0, WEB_0): n}} for n in (10, 30)]
    samples = [happened(row, time=MOMENT + 2 * i, elapsed=2.0) for i, row in enumerate(exits)]
    of_host = of(samples)
    counters = events(of_host, TrackEvent.TYPE_COUNTER)
    values = [(p.timestamp, p.track_event.double_counter_value) for p in counters]
    begin = round((MOMENT - 2) * NS)
    assert values == [(begin, 5.0), (begin + 2 * NS, 15.0)]
    (name,) = {tracks(of_host)[p.track_event.track_uuid].name for p in counters}
    assert name == "io exits"
    clocks = {c.clock_id: c.timestamp for c in of_host.packet[0].clock_snapshot.clocks}
    assert clocks == {1: begin, 6: begin}


def test_slices_of_a_vcpu_do_not_overlap() -> None:
    """Seconds as floats are a quarter of a microsecond apart, so durations do not fit exactly."""
    slow = tuple(
        SlowExit(MOMENT + i * 1e-5, ("vmx", 12), Place(0, WEB_0), 10_200) for i in range(50)
    )
    assert len(slices(of([happened({}, slow=slow)]))) == 50


def test_exits_without_a_thread_have_a_track() -> None:
    slow = (SlowExit(MOMENT, ("vmx", 12), Place(-1, 0), 5_000),)
    of_host = of([happened({}, {}, slow=slow)])
    assert "unattributed" in {track.name for track in tracks(of_host).values()}


def test_a_trace_of_perf_becomes_slices(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The last exit has no entry. An entry counts for its thread, on whichever CPU it is."""
    (tmp_path / "perf.txt").write_text(PERF)
    kept = str(tmp_path / "kept.jsonl")
    perf = str(tmp_path / "perf.txt")
    assert main(["decode", perf, "--isa", "vmx", "--slower-than", "0ns", "-o", kept]) == 0
    assert main(["export", "--input", kept, "-f", "perfetto"]) == 0
    found = slices(read(capsysbinary.readouterr().out))
    spans = [(thread, name, end - begin) for thread, name, begin, end in found]
    assert spans == [("vCPU 0", "IO_INSTRUCTION", 50_000), ("vCPU 1", "HLT", 20_000_000)]


def test_lost_events_end_no_exit(tmp_path: Path) -> None:
    lines = PERF.splitlines()
    lines.insert(2, "CPU 3 [LOST 7 EVENTS]")
    (tmp_path / "perf.txt").write_text("\n".join(lines))
    kept = tmp_path / "kept.jsonl"
    words = ["decode", str(tmp_path / "perf.txt"), "--isa", "vmx", "--slower-than", "1us"]
    assert main([*words, "-o", str(kept)]) == 0
    with recording.read(kept) as source:
        assert source.header.counted == ("exits", "entries", "slow", "threads")
        assert [exit_ for sample in source for exit_ in sample.slow] == []


def test_a_recording_without_slow_exits_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "x.jsonl")
    with recording.Writer(path, HEADER) as writer:
        writer.write(happened({}, THREADS))
    assert main(["export", "--input", path, "-f", "perfetto"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "slow exits were not recorded" in err
    assert "hint: kstats record --slower-than TIME -o FILE records them" in err


@given(st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1), st.text(), st.floats())
def test_fields_are_read_back(large: int, small: int, text: str, value: float) -> None:
    """Fields of the schema with each type that is written."""
    text = text.encode("utf-8", "replace").decode()
    event = protobuf.integer(11, large) + protobuf.text(23, text) + protobuf.double(44, value)
    process = protobuf.message(3, protobuf.integer(1, small))
    packet = protobuf.message(11, event)
    read_event = TracePacket.FromString(packet).track_event
    assert (read_event.track_uuid, read_event.name) == (large, text)
    assert read_event.double_counter_value == value or value != value  # noqa: PLR0124
    assert TrackDescriptor.FromString(process).process.pid == small
