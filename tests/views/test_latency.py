"""Latency tables: no exit is omitted, and idle exits are separate."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kstats.histogram import Histogram, bounds, bucket_of
from kstats.model import Code, Sample
from kstats.table import Cell, Table
from kstats.views.exits import parse_axes
from kstats.views.latency import HistogramView, LatencyView, Options
from kstats.views.reasons import ReasonFilter
from tests.samples import placed, sample

HLT, EPT, IO = ("vmx", 12), ("vmx", 48), ("vmx", 30)
ME, HER = 100 << 32 | 101, 100 << 32 | 102

LATENCY: dict[Code, dict[tuple[int, ...], Histogram]] = {
    EPT: {(-1, ME): Histogram.of([1000, 3000]), (-1, HER): Histogram.of([4000])},
    IO: {(-1, ME): Histogram.of([24_000])},
    HLT: {(-1, ME): Histogram.of([10**9])},
}
EXITS: dict[Code, dict[tuple[int, ...], int]] = {
    EPT: {(0, ME): 2, (1, HER): 1},
    IO: {(0, ME): 2},
    HLT: {(0, ME): 1},
}


def measured(**fields: Any) -> Sample:
    """Return three EPT violations, two I/O exits, one of them unfinished, and a long HLT."""
    return attrs.evolve(sample(), exits=placed(EXITS, LATENCY), timed=True, **fields)


def table(of: Sample, by: str, **options: Any) -> Table:
    """Return a report by the axes ``by``."""
    return LatencyView(Options(parse_axes(by), **options)).table(of)


def columns(of: Table) -> list[dict[str, Cell]]:
    """Return each row by the keys of its columns."""
    keys = [heading.key for heading in of.headings]
    return [dict(zip(keys, row.cells, strict=True)) for row in of.rows]


def test_a_row_has_count_total_share_extremes_and_percentiles() -> None:
    io, ept, _ = columns(table(measured(), "reason"))
    assert io["reason"] == "IO_INSTRUCTION"
    assert (io["count"], io["total_ns"], io["share"]) == (2, 24_000, 75.0)
    assert (ept["count"], ept["total_ns"], ept["share"]) == (3, 8000, 25.0)
    assert (ept["min_ns"], ept["mean_ns"], ept["max_ns"]) == (1000, 2667, 4000)
    assert ept["p50_ns"] == pytest.approx(3000, rel=0.125)
    assert ept["p99_ns"] == pytest.approx(4000, rel=0.125)


@pytest.mark.parametrize("by", ["reason", "tid,reason", "tid", "category", "cpu"])
def test_idle_exits_are_one_row_and_shares_are_of_the_others(by: str) -> None:
    """A guest that sleeps for seconds must not hide exits that take microseconds."""
    *busy, idle = columns(table(measured(), by))
    axes = by.split(",")
    assert [idle[axis] for axis in axes] == ["(idle)", *[None] * (len(axes) - 1)]
    assert (idle["count"], idle["total_ns"], idle["share"]) == (1, 10**9, None)
    assert sum(row["share"] or 0 for row in busy if isinstance(row["share"], float)) == 100
    assert sum(row["count"] for row in busy if isinstance(row["count"], int)) == 5


def test_rows_sum_to_all_exits_including_dropped_codes() -> None:
    rows = columns(table(measured(code_dropped={1: 7}), "cpu,reason"))
    assert sum(row["count"] for row in rows if isinstance(row["count"], int)) == 13
    (lost,) = [row for row in rows if row["reason"] == "?"]
    assert (lost["cpu"], lost["count"], lost["mean_ns"]) == (1, 7, None)


def test_top_sums_the_others_exactly() -> None:
    top, others, _ = columns(table(measured(), "tid,reason", top=1))
    assert (top["reason"], others["tid"], others["reason"]) == ("IO_INSTRUCTION", "(others)", None)
    assert (others["count"], others["total_ns"]) == (3, 8000)
    assert (others["min_ns"], others["max_ns"]) == (1000, 4000)


@pytest.mark.parametrize(
    ("sort", "first"),
    [("total", "IO_INSTRUCTION"), ("count", "EPT_VIOLATION"), ("reason", "EPT_VIOLATION")],
)
def test_the_largest_comes_first_or_axes_ascend(sort: str, first: str) -> None:
    assert columns(table(measured(), "reason", sort=sort))[0]["reason"] == first


def test_rates_are_of_counts_and_totals_only() -> None:
    of = table(measured(elapsed=2.0), "reason", rate=True)
    io = columns(of)[0]
    assert of.unit == "per_second"
    assert (io["count"], io["total_ns"], io["max_ns"]) == (1.0, 12_000, 24_000)


def test_a_sample_without_exits_has_no_rows() -> None:
    assert table(attrs.evolve(sample(), timed=True), "reason").rows == ()


def test_dropped_latencies_are_reported() -> None:
    of = table(measured(latency_dropped=3), "reason")
    assert dict(of.losses)["latency_dropped"] == 3
    assert of.notes[-1].startswith("3 exits with a dropped latency: ")


def test_reasons_can_be_selected() -> None:
    of = ReasonFilter(LatencyView(Options(("reason",))), {EPT}).table(measured())
    (row,) = columns(of)
    assert (row["reason"], row["share"]) == ("EPT_VIOLATION", 100.0)


def test_a_json_histogram_has_every_bucket() -> None:
    of = HistogramView(Options(("reason",))).table(measured())
    rows = [row for row in columns(of) if row["reason"] == "EPT_VIOLATION"]
    wanted = [bounds(bucket_of(value)) for value in (1000, 3000, 4000)]
    assert [(row["from_ns"], row["to_ns"]) for row in rows] == wanted
    assert [row["count"] for row in rows] == [1, 1, 1]


@pytest.mark.parametrize("most", [10, 10**6, 10**9, 10**12])
def test_a_drawn_histogram_has_no_gaps_and_every_exit_in_few_lines(most: int) -> None:
    values = [1 + most * i // 99 for i in range(100)]
    of = HistogramView(Options(("reason",)), bars=20).table(
        attrs.evolve(
            sample(),
            exits=placed({IO: {(0, 0): 100}}, {IO: {(0, 0): Histogram.of(values)}}),
            timed=True,
        )
    )
    rows = columns(of)
    assert len(rows) <= 42
    assert sum(row["count"] for row in rows if isinstance(row["count"], int)) == 100
    assert [row["to_ns"] for row in rows[:-1]] == [row["from_ns"] for row in rows[1:]]
    bars = [str(row["bar"]) for row in rows]
    assert max(map(len, bars)) == 20
    assert all(bool(bar) == bool(row["count"]) for bar, row in zip(bars, rows, strict=True))
