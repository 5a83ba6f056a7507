"""Exits by detail: each exit of the kind is in exactly one row, with or without its detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from kstats.arch.details import UNKNOWN, Access, Parts
from kstats.errors import UsageError
from kstats.histogram import Histogram
from kstats.model import Code, Sample
from kstats.table import Cell, Table
from kstats.views import details
from kstats.views.exits import ExitsView, Options, parse_axes
from kstats.views.latency import HistogramView, LatencyView
from kstats.views.latency import Options as TimeOptions
from kstats.views.reasons import ReasonFilter
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import At, placed, sample

READ, WRITE, HLT = ("vmx", 31), ("vmx", 32), ("vmx", 12)
ME, HER = 7 << 32 | 8, 7 << 32 | 9


def of(access: Access, number: int) -> int:
    return Parts(access, 0, number).detail


EFER, DEADLINE = of(Access.READ, 0xC0000080), of(Access.WRITE, 0x6E0)


def happened(details: Mapping[Code, Mapping[At, int]], **fields: Any) -> Sample:
    """Return ten reads, five writes and seven HLTs of ME on CPU 0, and two reads of HER on CPU 1.

    ``details`` are the exits among them that have a detail.
    """
    exits: dict[Code, dict[tuple[int, ...], int]] = {
        READ: {(0, ME): 10, (1, HER): 2},
        WRITE: {(0, ME): 5},
        HLT: {(0, ME): 7},
    }
    for code, row in details.items():
        for at, n in row.items():
            exits[code][at[:2]] -= n
            exits[code][at] = n
    made = attrs.evolve(sample(code_dropped={0: 3}), exits=placed(exits), detail="msr")
    return attrs.evolve(made, **fields)


ALL = {READ: {(0, ME, EFER): 10, (1, HER, EFER): 2}, WRITE: {(0, ME, DEADLINE): 5}}


def table(of: Sample, by: str, **options: Any) -> Table:
    axes = parse_axes(by, detail=True)
    return ExitsView(Options(axes, detail="msr", **options)).table(of)


def rows(of: Sample, by: str, **options: Any) -> list[tuple[Cell, ...]]:
    return [row.cells for row in table(of, by, **options).rows]


def test_only_exits_of_the_kind_are_shown_and_shares_are_of_them() -> None:
    assert rows(happened(ALL), "detail") == [
        ("read MSR_EFER(0xc0000080)", 12, 100 * 12 / 17),
        ("write MSR_IA32_TSC_DEADLINE(0x6e0)", 5, 100 * 5 / 17),
    ]
    assert table(happened(ALL), "detail").notes[-1].startswith("3 exits with a dropped code")


def test_detail_is_an_axis_like_the_others() -> None:
    assert [row[:-1] for row in rows(happened(ALL), "tid,detail", sort="tid")] == [
        (8, "read MSR_EFER(0xc0000080)", 10),
        (8, "write MSR_IA32_TSC_DEADLINE(0x6e0)", 5),
        (9, "read MSR_EFER(0xc0000080)", 2),
    ]
    assert [row[:-1] for row in rows(happened(ALL), "cpu")] == [(0, 15), (1, 2)]
    assert [row[:-1] for row in rows(happened(ALL), "detail", top=1)] == [
        ("read MSR_EFER(0xc0000080)", 12),
        ("(others)", 5),
    ]
    by_detail = rows(happened(ALL), "detail", sort="detail")
    assert [row[0] for row in by_detail] == sorted(str(row[0]) for row in by_detail)


def test_dropped_details_are_reported_and_their_exits_are_counted() -> None:
    some = happened({READ: {(0, ME, EFER): 4, (1, HER, EFER): 2}, WRITE: {(0, ME, DEADLINE): 5}})
    shown = table(some, "tid,reason,detail")
    assert {row.cells[:-1] for row in shown.rows} == {
        (8, "MSR_READ", "?", 6),
        (8, "MSR_READ", "read MSR_EFER(0xc0000080)", 4),
        (8, "MSR_WRITE", "write MSR_IA32_TSC_DEADLINE(0x6e0)", 5),
        (9, "MSR_READ", "read MSR_EFER(0xc0000080)", 2),
    }
    assert dict(shown.losses)["detail_dropped"] == 6
    assert shown.notes[-1] == (
        "6 exits with a dropped detail: counted with the detail ?; raise --map-entries or select"
        " threads"
    )


def test_the_vms_whose_details_were_dropped_are_named() -> None:
    some = happened({READ: {(0, ME, EFER): 4, (1, HER, EFER): 2}, WRITE: {(0, ME, DEADLINE): 5}})
    pid = ME >> 32
    threads = {ME: Thread(ME & 0xFFFF_FFFF, pid, 0, Vm(pid, 1, Kind.OTHER, "web"))}
    dropped = {pid: {"detail_dropped": 4, "latency_dropped": 9}}
    dropped |= {pid + n: {"detail_dropped": 1} for n in range(1, 5)}
    shown = table(attrs.evolve(some, threads=threads, vm_dropped=dropped), "tid,reason,detail")
    assert shown.notes[-1] == (
        f"dropped details by VM: web (pid {pid}) 4, ? (pid {pid + 1}) 1, ? (pid {pid + 2}) 1,"
        " and 2 more VMs"
    )


def test_exits_without_a_detail_from_the_kernel_are_not_dropped_details() -> None:
    of = happened(ALL | {WRITE: {(0, ME, UNKNOWN): 5}})
    shown = table(of, "detail")
    assert ("?", 5) in [row.cells[:-1] for row in shown.rows]
    assert dict(shown.losses)["detail_dropped"] == 0
    assert not any("dropped detail" in note for note in shown.notes)


@pytest.mark.parametrize("other", ["", "io"])
def test_a_sample_without_the_details_has_a_note(other: str) -> None:
    one = happened({} if other else ALL, detail=other)
    shown = table(one, "reason,detail")
    assert {row.cells[:-1] for row in shown.rows} == {("MSR_READ", "?", 12), ("MSR_WRITE", "?", 5)}
    assert "this sample was taken without --detail msr" in shown.notes[-1]


def test_detail_is_an_axis_only_if_requested() -> None:
    with pytest.raises(UsageError, match="the axis detail needs --detail KIND") as caught:
        parse_axes("vm,detail")
    assert caught.value.hint.startswith("--detail msr|io|mmio|page|hypercall|cr|sysreg")
    with pytest.raises(UsageError, match="unknown axis 'nothing'") as caught:
        parse_axes("nothing", detail=True)
    assert caught.value.hint.endswith(", detail")


def test_kinds_are_those_of_any_isa() -> None:
    details.check("sysreg")
    with pytest.raises(UsageError, match="unknown detail 'port'") as caught:
        details.check("port")
    assert "io (I/O ports), mmio" in caught.value.hint


LATENCY: dict[Code, dict[tuple[int, ...], Histogram]] = {
    READ: {
        (-1, ME, EFER): Histogram.of([1000, 2000]),
        (-1, HER, EFER): Histogram.of([3000]),
        (-1, ME, UNKNOWN): Histogram.of([500]),
    },
    WRITE: {(-1, ME, DEADLINE): Histogram.of([6000])},
}


def timed() -> Sample:
    counted = happened(ALL)
    timed = placed({}, LATENCY)
    exits = {code: {**at, **timed.get(code, {})} for code, at in counted.exits.items()}
    return attrs.evolve(counted, exits=exits, timed=True, latency_dropped=2)


def test_latency_by_detail() -> None:
    view = LatencyView(TimeOptions(parse_axes("reason,detail", detail=True), detail="msr"))
    shown = view.table(timed())
    wanted = ("count", "total_ns", "share", "min_ns", "mean_ns", "max_ns")
    at = [[heading.key for heading in shown.headings].index(key) for key in wanted]
    assert [(row.cells[:2], *[row.cells[i] for i in at]) for row in shown.rows] == [
        (("MSR_READ", "read MSR_EFER(0xc0000080)"), 12, 6000, 48.0, 1000, 2000, 3000),
        (("MSR_WRITE", "write MSR_IA32_TSC_DEADLINE(0x6e0)"), 5, 6000, 48.0, 6000, 6000, 6000),
        (("MSR_READ", "?"), 0, 500, 4.0, 500, 500, 500),
    ]
    assert dict(shown.losses) | {"detail_dropped": 0, "latency_dropped": 2} == dict(shown.losses)
    assert view.requires == ("msr details", "msr latency")


def test_histogram_by_detail() -> None:
    view = HistogramView(TimeOptions(("tid", "detail"), detail="msr"))
    buckets = [row.cells for row in view.table(timed()).rows if row.cells[0] == 9]
    assert [(row[1], row[-1]) for row in buckets] == [("read MSR_EFER(0xc0000080)", 1)]


def test_reasons_can_be_selected() -> None:
    view = LatencyView(TimeOptions(("detail",), detail="msr"))
    shown = ReasonFilter(view, {WRITE}).table(timed())
    assert [row.cells[:3] for row in shown.rows] == [
        ("write MSR_IA32_TSC_DEADLINE(0x6e0)", 5, 6000)
    ]
