"""Samples become counters: nothing is lost, nothing is counted twice, nothing ever shrinks."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats import recording
from kstats.arch.details import Access, Parts
from kstats.exporter.details import WINDOW, Details
from kstats.exporter.metrics import Metrics
from kstats.exporter.settings import Settings
from kstats.histogram import Histogram
from kstats.model import Exits, Place, VcpuTime
from kstats.views.exits import count_by
from kstats.views.percpu import PerCpuView
from kstats.vms.identity import Kind, Thread, Vcpu, Vm
from tests.exporter.running import RECORDING
from tests.exporter.samples import CPUID, HLT, IO, Guest, sample, series, values


def test_a_recording_is_counted_as_the_views_count_it() -> None:
    """By VM, by vCPU and by CPU; the views are tested against guests in real hosts."""
    metrics = Metrics(Settings(vcpus=True))
    by_vcpu: Counter[tuple[str, ...]] = Counter()
    by_class: Counter[tuple[str, ...]] = Counter()
    with recording.read(RECORDING) as samples:
        for now, one in enumerate(samples):
            metrics.add(one, now)
            rows = count_by(one, ("vcpu", "reason", "category"))
            by_vcpu.update({tuple(map(str, key)): n for key, n in rows.items()})
            table = PerCpuView().table(one)
            keys = [heading.key for heading in table.headings]
            for row in table.rows:
                cells = dict(zip(keys, row.cells, strict=True))
                for key in keys[3:]:
                    by_class[str(cells["cpu"]), key] += int(cells[key] or 0)
    found = values(metrics)
    assert series(found, "kvm_vcpu_exits_total", "vcpu", "reason", "category") == by_vcpu
    of_vms = series(found, "kvm_vm_exits_total", "reason")
    assert sum(of_vms.values()) == sum(by_vcpu.values())
    classes = series(found, "kvm_cpu_exits_total", "cpu", "class")
    assert {key: n for key, n in classes.items() if n} == +by_class
    assert sum(classes.values()) == sum(by_vcpu.values())


def test_every_class_of_a_cpu_begins_at_zero() -> None:
    metrics = Metrics(Settings())
    metrics.add(sample(cpus=2), 0)
    classes = series(values(metrics), "kvm_cpu_exits_total", "cpu", "class")
    assert set(classes.values()) == {0}
    assert len(classes) == 2 * 13


def test_dropped_codes_are_in_class_other() -> None:
    metrics = Metrics(Settings())
    metrics.add(sample(cpus=1, code_dropped={0: 5}), 0)
    found = values(metrics)
    assert series(found, "kvm_cpu_exits_total", "class")["other",] == 5
    assert series(found, "kstats_losses_total", "kind")["code_dropped",] == 5


def test_exits_without_a_thread_keep_the_sum() -> None:
    metrics = Metrics(Settings())
    guest = Guest("web", exits={HLT: [2]})
    one = sample(guest)
    exits = {**one.exits, IO: {Place(0, 0): Exits(7), Place(1, 99 << 32 | 99): Exits(1)}}
    metrics.add(attrs.evolve(one, exits=exits), 0)
    found = values(metrics)
    assert series(found, "kvm_vm_exits_total", "vm") == {
        ("web",): 2,
        ("(unattributed)",): 7,
        ("(unknown)",): 1,
    }
    assert series(found, "kstats_losses_total", "kind")["unattributed",] == 7


def test_namesakes_are_added_up_and_reported() -> None:
    metrics = Metrics(Settings(vcpus=True))
    twice = (Guest("web", 100, {HLT: [2]}), Guest("web", 200, {HLT: [3]}), Guest("db", 300))
    metrics.add(sample(*twice), 0)
    found = values(metrics)
    assert series(found, "kvm_vm_exits_total", "vm") == {("web",): 5}
    assert series(found, "kvm_vcpu_exits_total", "vm", "vcpu") == {("web", "0"): 5}
    assert series(found, "kvm_vm_info", "vm", "pid").keys() == {
        ("web", "100"),
        ("web", "200"),
        ("db", "300"),
    }
    assert series(found, "kvm_vm_vcpus", "vm") == {("web",): 2, ("db",): 1}
    assert found["kstats_vm_name_collisions", ()] == 2
    assert found["kstats_vms", ()] == 3


def test_a_vm_is_described() -> None:
    metrics = Metrics(Settings())
    uuid = "5e3f9c1e-4b7a-4a55-9d0f-2f3f3c6b8a01"
    metrics.add(sample(Guest("web", 100, uuid=uuid)), 0)
    found = series(values(metrics), "kvm_vm_info", "vm", "uuid", "vmm", "pid")
    assert found == {("web", uuid, "qemu", "100"): 1}


def test_a_vm_has_the_labels_of_its_manager() -> None:
    metrics = Metrics(Settings())
    vm = Vm(100, 1, Kind.LIBVIRT, "default_web", vmid=7, pod="1b5a", namespace="default")
    metrics.add(attrs.evolve(sample(), threads={100 << 32 | 101: Thread(101, 100, 0, vm)}), 0)
    found = series(values(metrics), "kvm_vm_info", "vm", "vmm", "vmid", "pod", "namespace")
    assert found == {("default_web", "libvirt", "7", "1b5a", "default"): 1}


def test_a_vm_that_ended_stays_for_a_while_and_then_goes() -> None:
    metrics = Metrics(Settings(keep_ended=60))
    metrics.add(sample(Guest("web", exits={HLT: [2]})), 0)
    metrics.add(sample(Guest("web", exits={HLT: [3]}, ended=True)), 10)
    for now in (20, 70):
        metrics.add(sample(), now)
        found = values(metrics)
        assert series(found, "kvm_vm_exits_total", "vm") == {("web",): 5}
        assert series(found, "kvm_vm_info", "vm") == series(found, "kvm_vm_vcpus", "vm") == {}
    metrics.add(sample(), 71)
    assert series(values(metrics), "kvm_vm_exits_total", "vm") == {}


def test_a_vm_that_returns_continues() -> None:
    metrics = Metrics(Settings(keep_ended=60))
    metrics.add(sample(Guest("web", 100, {HLT: [2]}, ended=True)), 0)
    metrics.add(sample(Guest("web", 200, {HLT: [3]}, start=7)), 50)
    metrics.add(sample(Guest("web", 200, {HLT: [4]}, start=7)), 100)
    assert series(values(metrics), "kvm_vm_exits_total", "vm") == {("web",): 9}


def test_more_vms_than_allowed_are_counted_together() -> None:
    metrics = Metrics(Settings(max_vms=2, vcpus=True, keep_ended=60))
    guests = [Guest(f"vm{n}", 100 * n, {HLT: [n]}, start=n) for n in range(1, 5)]
    metrics.add(sample(*reversed(guests)), 0)
    found = values(metrics)
    assert series(found, "kvm_vm_exits_total", "vm") == {
        ("vm1",): 1,
        ("vm2",): 2,
        ("(others)",): 7,
    }
    assert series(found, "kvm_vcpu_exits_total", "vm", "vcpu")["(others)", "(others)"] == 7
    assert found["kstats_vms_folded", ()] == 2
    assert series(found, "kvm_vm_info", "vm").keys() == {("vm1",), ("vm2",)}
    # One of those that have series of their own ends: there is room for another one.
    metrics.add(sample(*guests[1:]), 10)
    found = values(metrics)
    assert series(found, "kvm_vm_exits_total", "vm") == {
        ("vm2",): 4,
        ("vm3",): 3,
        ("(others)",): 11,
    }


def test_hundreds_of_short_vms_make_few_series_and_no_exit_is_missing() -> None:
    """Each lives for two samples. As an engine adds it up: what grew from scrape to scrape."""
    at_once, most, kept = 20, 50, 5
    metrics = Metrics(Settings(max_vms=most, keep_ended=60, vcpus=True))
    before: dict[tuple[str, ...], float] = {}
    grown, happened = 0.0, 0
    for turn in range(30):
        guests = []
        for number in range(at_once * turn, at_once * (turn + 2)):
            ended = number < at_once * (turn + 1)
            exits = {HLT: [1 + number % 7], CPUID: [2]}
            guests.append(Guest(f"vm{number}", 1000 + number, exits, start=number, ended=ended))
            happened += sum(n for (n,) in exits.values())
        metrics.add(sample(*guests), 15.0 * turn)
        found = values(metrics)
        now = series(found, "kvm_vm_exits_total", "vm", "reason")
        assert all(n >= before.get(key, 0) for key, n in now.items())
        grown += sum(n - before.get(key, 0) for key, n in now.items())
        before = now
        names = {vm for vm, _ in now} - {"(others)"}
        assert len(names) <= most
        oldest = at_once * (turn - kept)
        assert all(int(name.removeprefix("vm")) >= oldest for name in names)
        by_vcpu = series(found, "kvm_vcpu_exits_total", "vm", "vcpu", "reason")
        assert {(vm, reason) for vm, _, reason in by_vcpu} == now.keys()
    assert grown == happened
    assert sum(series(found, "kvm_cpu_exits_total", "cpu", "class").values()) == happened
    metrics.add(sample(), 15.0 * turn + 61)
    assert series(values(metrics), "kvm_vm_exits_total", "vm").keys() <= {("(others)",)}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("web", "web"),
        ('a"b\\c', 'a"b\\\\c'),
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("(others)", r"\x28others)"),
        ("", "(unknown)"),
        ("\udcff", r"\xff"),
        ("x" * 300, "x" * 127 + "…"),
    ],
)
def test_hostile_names_are_escaped_and_bounded(name: str, label: str) -> None:
    metrics = Metrics(Settings())
    metrics.add(sample(Guest(name, exits={HLT: [1]})), 0)
    assert series(values(metrics), "kvm_vm_exits_total", "vm") == {(label,): 1}


def test_cpus_that_go_offline_keep_their_counts() -> None:
    metrics = Metrics(Settings())
    metrics.add(sample(Guest("web", vcpus=2, exits={HLT: [2, 3]}), cpus=2), 0)
    metrics.add(sample(cpus=1), 1)
    entries = series(values(metrics), "kvm_cpu_entries_total", "cpu")
    assert entries == {("0",): 2, ("1",): 3}


def test_durations_are_histograms_by_category_or_reason() -> None:
    guest = Guest("web")
    (thread,) = guest.threads
    timed = {
        code: {Place(0, thread): Exits(2), Place(-1, thread): Exits(0, Histogram.of(ns))}
        for code, ns in {HLT: [1000, 2000], CPUID: [500]}.items()
    }
    for by, keys in (("category", {("idle",), ("register",)}), ("reason", {("HLT",), ("CPUID",)})):
        metrics = Metrics(Settings(durations=by))
        metrics.add(sample(guest, exits=timed), 0)
        found = values(metrics)
        counts = series(found, "kvm_vm_exit_duration_seconds_count", by)
        assert counts.keys() == keys
        assert sum(counts.values()) == 3
        assert series(found, "kvm_vm_exits_total", "reason") == {("HLT",): 2, ("CPUID",): 2}


def test_times_of_vcpus_are_by_state() -> None:
    guest = Guest("web", vcpus=2)
    first, second = guest.threads
    times = {first: VcpuTime(1, 2, 3, 4, None), second: VcpuTime(5, 6, 7, 8, 9 * 10**9)}
    metrics = Metrics(Settings(time=True))
    metrics.add(sample(guest, vcpu_time=times), 0)
    metrics.add(sample(guest, vcpu_time=times), 1)
    found = series(values(metrics), "kvm_vcpu_time_seconds_total", "vcpu", "state")
    assert found["0", "guest"] == 2e-9
    assert found["1", "waiting"] == 18
    assert ("0", "waiting") not in found


def test_counters_of_the_kernel_are_events_and_times() -> None:
    guest = Guest("web", 100, vcpus=2)
    counters = {
        Vcpu(100, n, 1, 20 + n): {"exits": 5, "halt_wait_ns": 10**9, "io_exits": 0}
        for n in range(2)
    }
    metrics = Metrics(Settings(kernel=True, cpus=False, vcpus=True))
    metrics.add(sample(guest, counters=counters), 0)
    found = values(metrics)
    assert series(found, "kvm_vm_kernel_events_total", "event") == {
        ("exits",): 10,
        ("io_exits",): 0,
    }
    assert series(found, "kvm_vm_kernel_time_seconds_total", "what") == {("halt_wait",): 2}
    assert series(found, "kvm_vcpu_kernel_events_total", "vcpu", "event")["1", "exits"] == 5
    assert series(found, "kvm_vcpu_kernel_time_seconds_total", "vcpu") == {("0",): 1, ("1",): 1}


def test_details_beyond_the_hottest_are_others() -> None:
    guest = Guest("web")
    (thread,) = guest.threads
    ports = {Parts(Access.WRITE, 1, port).detail: n for port, n in ((1, 9), (2, 5), (3, 3), (4, 1))}
    exits = {IO: {Place(0, thread, detail): Exits(n) for detail, n in ports.items()}}
    exits[IO][Place(0, thread)] = Exits(2)
    metrics = Metrics(Settings(detail="io", top=2))
    metrics.add(sample(guest, exits=exits, detail="io"), 0)
    found = values(metrics)
    assert series(found, "kvm_vm_exit_details_total", "kind", "detail") == {
        ("io", "out 0x1/1"): 9,
        ("io", "out 0x2/1"): 5,
        ("io", "(others)"): 6,
    }
    assert series(found, "kstats_losses_total", "kind")["detail_dropped",] == 2


COUNTS = st.dictionaries(st.integers(1, 8), st.integers(1, 1000), max_size=8)


@given(st.lists(st.tuples(COUNTS, st.floats(0, 2 * WINDOW))), st.integers(1, 4))
@settings(max_examples=200)
def test_counts_of_details_only_grow_and_none_is_lost(
    steps: list[tuple[dict[int, int], float]], top: int
) -> None:
    """A series that begins again begins at zero; every exit is in the growth of one series."""
    details, now = Details(top), 0.0
    before: dict[int, int] = {}
    for counts, passed in steps:
        now += passed
        details.add(counts, now)
        assert len(details.shown) <= top
        after = {**details.shown, 0: details.others}  # 0 stands for all other details
        assert all(after[name] >= n for name, n in before.items() if name in after)
        grown = sum(n - before.get(name, 0) for name, n in after.items())
        if before.keys() <= after.keys():
            assert grown == sum(counts.values())
        else:  # the last counts of what gave up its series are gone
            assert grown <= sum(counts.values())
        before = after


def test_a_detail_that_becomes_hot_gets_a_series() -> None:
    old, new = 1, 2
    details = Details(1)
    details.add({old: 10}, 0)
    details.add({old: 1, new: 50}, WINDOW)
    details.add({old: 0, new: 50}, 2 * WINDOW)
    details.add({new: 3}, 2 * WINDOW + 1)
    assert details.shown == {new: 53}
    assert details.others == 50
