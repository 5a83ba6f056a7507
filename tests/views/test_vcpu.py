"""kvmstat's table: its rows, its columns, and that no exit is lost."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given

from kstats import arch as arches
from kstats.arch.kvmstat import COLUMNS
from kstats.errors import UnsupportedHostError
from kstats.model import Code, Place, Sample
from kstats.render.text import TextRenderer
from kstats.table import Cell, Table
from kstats.views.vcpu import HEADINGS, Options, VcpuView
from kstats.vms.identity import Kind, Thread, Vcpu, Vm
from tests.samples import SAMPLES, At, placed, sample, total

# As illumos prints it.
HEADER = "pid vcpu | exits : haltx irqx irqwx iox mmiox | irqs emul eptv"

WEB, DB = Vm(100, 1, Kind.QEMU, "web", 9), Vm(200, 2, Kind.QEMU, "db", 9)
HLT, EPT, STRANGE = ("vmx", 12), ("vmx", 48), ("vmx", 0x99)


def number(tid: int, pid: int) -> int:
    """Return the kernel's pid_tgid of a thread."""
    return pid << 32 | tid


ONE, TWO, OTHER = number(101, 100), number(102, 100), number(201, 200)
THREADS = {
    OTHER: Thread(201, 200, 0, DB),
    TWO: Thread(102, 100, 1, WEB),
    ONE: Thread(101, 100, 0, WEB),
}


def labels(arch: str = "x64", isa: str = "vmx") -> dict[str, str]:
    """Return the label of each tracepoint in the rules."""
    rules = arches.find(arch).kvmstat[isa]
    return {event.tracepoint: event.label for rule in rules for event in rule.events}


def happened(
    exits: Mapping[Code, Mapping[At, int]] | None = None,
    events: Mapping[str, Mapping[At, int]] | None = None,
    *,
    threads: Mapping[int, Thread] | None = None,
    ended: frozenset[int] = frozenset(),
    **fields: Any,
) -> Sample:
    """Return a sample in which all events were counted; only ``events`` happened."""
    isa = "arm64" if fields.get("arch") == "arm64" else "vmx"
    known = labels(fields.get("arch", "x64"), isa)
    return attrs.evolve(
        sample(**fields),
        exits=placed(exits or {}),
        events={
            label: {Place(*at): n for at, n in (events or {}).get(name, {}).items()}
            for name, label in known.items()
        },
        threads=THREADS if threads is None else threads,
        ended=ended,
        isa=isa,
    )


def rows(table: Table) -> dict[tuple[Cell, ...], list[Cell]]:
    """Return the cells of each row by pid and vCPU."""
    assert table.key_columns == 2
    return {row.cells[:2]: list(row.cells[2:]) for row in table.rows}


def row(of: Sample, *key: Cell, **options: Any) -> dict[str, Cell]:
    """Return one row of the first report by column."""
    return dict(zip(COLUMNS, rows(VcpuView(Options(**options)).table(of))[key], strict=True))


def printed(*samples: Sample, **options: Any) -> list[str]:
    """Return the lines of all reports."""
    stream = io.StringIO()
    view, renderer = VcpuView(Options(**options)), TextRenderer(stream)
    for of in samples:
        renderer.write(view.table(of))
    return stream.getvalue().splitlines()


def test_it_looks_like_kvmstat_of_illumos() -> None:
    busy = happened(
        {HLT: {(0, ONE): 551, (1, ONE): 2}, ("vmx", 1): {(0, TWO): 36}, EPT: {(0, TWO): 78}},
        {"kvm_mmio": {(0, ONE): 5}, "kvm_inj_virq": {(0, TWO): 12}},
    )
    assert printed(busy) == [
        HEADER,
        "100    0 |   553 :   553    0     0   0     5 |    0    0    0",
        "100    1 |   114 :     0   36     0   0     0 |   12    0   78",
        "200    0 |     0 :     0    0     0   0     0 |    0    0    0",
    ]


def test_every_column_counts_what_the_manual_says() -> None:
    codes = {"haltx": 12, "irqx": 1, "irqwx": 7, "iox": 30, "eptv": 48}
    exits = {("vmx", code): {(0, ONE): n} for n, code in enumerate(codes.values(), 2)}
    events: dict[str, dict[tuple[int, int], int]] = {
        "kvm_mmio": {(0, ONE): 100, (1, ONE): 10},
        "kvm_fast_mmio": {(0, ONE): 1},
        "kvm_inj_virq": {(0, ONE): 17},
        "kvm_emulate_insn": {(0, ONE): 19},
    }
    assert row(happened({**exits, STRANGE: {(0, ONE): 40}}, events), 100, 0) == {
        "exits": 2 + 3 + 4 + 5 + 6 + 40,
        **dict(zip(codes, range(2, 7), strict=True)),
        "mmiox": 111,
        "irqs": 17,
        "emul": 19,
    }


def test_columns_without_a_meaning_on_arm64_are_dashes() -> None:
    exits = {("arm64", 0x01): {(0, ONE): 9}, ("arm64", 1 << 32): {(0, ONE): 4}}
    events = {"kvm_wfx_arm64": {(0, ONE): 7}}
    got = row(happened(exits, events, arch="arm64"), 100, 0)
    assert [name for name, cell in got.items() if cell is None] == ["irqwx", "iox", "irqs", "emul"]
    assert (got["exits"], got["haltx"], got["irqx"], got["mmiox"], got["eptv"]) == (13, 7, 4, 0, 0)


def test_rows_are_sorted_by_process_then_number() -> None:
    numbers = {number(300 + n, 30): Thread(300 + n, 30, 10 - n, WEB) for n in range(4)}
    table = VcpuView().table(happened(threads=THREADS | numbers))
    assert list(rows(table)) == [
        *((30, vcpu) for vcpu in (7, 8, 9, 10)),
        (100, 0),
        (100, 1),
        (200, 0),
    ]


def test_an_idle_vm_that_ends_is_printed_once_more() -> None:
    view = VcpuView()
    gone = {OTHER: THREADS[OTHER]}
    reports = [view.table(happened(threads=who)) for who in (THREADS, gone, gone)]
    assert [list(rows(table)) for table in reports] == [
        [(100, 0), (100, 1), (200, 0)],
        [(100, 0), (100, 1), (200, 0)],
        [(200, 0)],
    ]


def test_a_busy_vm_that_ends_is_printed_once_more_with_its_last_counts() -> None:
    view = VcpuView()
    view.table(happened())
    last = happened({HLT: {(0, ONE): 3}}, threads={ONE: THREADS[ONE]}, ended=frozenset({ONE}))
    table = view.table(last)
    assert rows(table)[100, 0][:2] == [3, 3]
    assert set(rows(table)) == {(100, 0), (100, 1), (200, 0)}
    assert view.table(happened(threads={})).rows == ()


def test_a_vm_that_started_and_ended_within_a_report_is_only_in_this_one() -> None:
    view = VcpuView()
    short = happened({HLT: {(0, ONE): 3}}, threads={ONE: THREADS[ONE]}, ended=frozenset({ONE}))
    assert list(rows(view.table(short))) == [(100, 0)]
    assert view.table(happened(threads={})).rows == ()


def test_unattributed_exits_have_separate_rows() -> None:
    threads = {ONE: Thread(101, 100, None, WEB), TWO: Thread(102, 100, None, WEB)}
    places = {(0, ONE): 1, (0, TWO): 2, (0, 0): 4, (0, OTHER): 8}
    table = VcpuView().table(happened({HLT: places}, threads=threads, code_dropped={1: 16}))
    assert {name: cells[:2] for name, cells in rows(table).items()} == {
        (100, "?(101)"): [1, 1],
        (100, "?(102)"): [2, 2],
        (200, "?"): [8, 8],
        ("?", "?"): [20, 4],
    }
    assert list(rows(table))[-1] == ("?", "?")
    assert any(note.startswith("4 unattributed exits: ") for note in table.notes)


def test_vms_of_one_process_do_not_share_rows() -> None:
    threads = {
        ONE: Thread(101, 100, 0, WEB),
        TWO: Thread(102, 100, 0, attrs.evolve(WEB, fd=10)),
    }
    table = VcpuView().table(happened({HLT: {(0, ONE): 1, (0, TWO): 2}}, threads=threads))
    assert [line.cells[:3] for line in table.rows] == [(100, 0, 1), (100, 0, 2)]


def test_a_missing_tracepoint_makes_its_column_a_dash_and_is_reported_once() -> None:
    whole = happened()
    events = {label: at for label, at in whole.events.items() if "fast" not in label}
    view = VcpuView()
    first, second = (view.table(attrs.evolve(whole, events=events)) for _ in range(2))
    assert rows(first)[100, 0] == [0, 0, 0, 0, 0, None, 0, 0, 0]
    assert first.notes == ("mmiox is -: kvm_fast_mmio not counted here",)
    assert second.notes == ()


KEPT = {
    "exits": 100,
    "halt_exits": 1,
    "irq_exits": 2,
    "irq_window_exits": 3,
    "io_exits": 4,
    "mmio_exits": 5,
    "irq_injections": 6,
    "insn_emulation": 7,
    "pf_fixed": 8,
    "halt_wait_ns": 123456,
}


def kept(counters: Mapping[Vcpu, Mapping[str, int]], arch: str = "x64") -> Sample:
    """Return a sample of KVM's own counters."""
    return attrs.evolve(happened(threads={}, arch=arch), counters=counters)


def test_kvms_counters_have_the_same_columns() -> None:
    got = kept({Vcpu(100, 1, 7, 13): KEPT, Vcpu(100, 0, 7, 12): dict.fromkeys(KEPT, 0)})
    assert printed(got) == [
        HEADER,
        "100    0 |     0 :     0    0     0   0     0 |    0    0    0",
        "100    1 |   100 :     1    2     3   4     5 |    6    7    8",
    ]


def test_a_vcpu_with_unknown_counters_is_a_row_of_dashes() -> None:
    got = kept({Vcpu(100, 0, 7, 12): KEPT, Vcpu(200, 0, 7, 10): {}})
    table = VcpuView(Options(total=True)).table(got)
    assert rows(table)[200, 0] == [None] * len(COLUMNS)
    assert table.notes == ()
    assert table.total is not None
    assert table.total.cells == ("total", None, 100, 1, 2, 3, 4, 5, 6, 7, 8)


def test_a_counter_that_this_kernel_lacks_is_reported_once() -> None:
    less = {name: n for name, n in KEPT.items() if name != "irq_window_exits"}
    view = VcpuView()
    first, second = (view.table(kept({Vcpu(100, 0, 7, 12): less})) for _ in range(2))
    assert rows(first)[100, 0] == [100, 1, 2, None, 4, 5, 6, 7, 8]
    assert first.notes == ("irqwx is -: irq_window_exits not counted here",)
    assert second.notes == ()


def test_options_select_rows_and_units() -> None:
    busy = happened({HLT: {(0, ONE): 4, (0, OTHER): 2, (0, 0): 1}}, elapsed=2.0)
    nonzero = VcpuView(Options(nonzero=True)).table(busy)
    assert list(rows(nonzero)) == [(100, 0), (200, 0), ("?", "?")]
    assert row(busy, 100, 0, rate=True)["haltx"] == 2.0
    assert VcpuView(Options(rate=True)).table(busy).unit == "per_second"


def test_the_total_is_of_the_rows_shown() -> None:
    busy = happened({HLT: {(0, ONE): 4, (0, OTHER): 2}})
    total = VcpuView(Options(total=True)).table(busy).total
    assert total is not None
    assert total.cells == ("total", None, 6, 6, 0, 0, 0, 0, 0, 0, 0)


def test_a_total_of_nothing_is_a_dash() -> None:
    total = VcpuView(Options(total=True)).table(happened(threads={})).total
    assert total is not None
    assert total.cells == ("total", *[None] * (len(HEADINGS) - 1))


def test_an_isa_without_rules_is_an_error() -> None:
    with pytest.raises(UnsupportedHostError, match="no kvmstat columns for 'house'"):
        VcpuView().table(attrs.evolve(happened(), isa="house"))


@given(SAMPLES)
def test_every_exit_is_in_one_row(of: Sample) -> None:
    table = VcpuView().table(attrs.evolve(of, counters=None))
    exits = total(of)
    shown = sum(n for row in table.rows if isinstance(n := row.cells[2], int))
    assert shown == exits + sum(of.code_dropped.values())
