"""The table of kstats cpu: cases worked out by hand, and properties of any sample."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.errors import UsageError
from kstats.model import Code, Sample
from kstats.table import Row, Table
from kstats.topology import LEVELS, CpuTopology
from kstats.views.percpu import Options, PerCpuView
from tests.samples import SAMPLES, placed, sample, total

EPT, CPUID, IO, UNKNOWN = ("vmx", 48), ("vmx", 10), ("vmx", 30), ("vmx", 0x99)
READ, WRITE = ("svm", 1 << 32 | 0x7C), ("svm", 2 << 32 | 0x7C)

ARM64 = sample(
    {
        ("arm64", 0x24): {0: 6, 1: 111},
        ("arm64", 0x01): {0: 27, 1: 3},
        ("arm64", 0x18): {0: 1, 1: 17},
        ("arm64", 1 << 32): {0: 9, 1: 94},
    },
    arch="arm64",
    entries={0: 43, 1: 226},
)
"""The first two rows of the table in the description of Fuchsia's kstats -v."""


def table(of: Sample, **options: Any) -> Table:
    """Return the report on a sample."""
    return PerCpuView(Options(**options)).table(of)


def rows(of: Sample, **options: Any) -> list[dict[str, Any]]:
    """Return the cells of each row by their keys."""
    got = table(of, **options)
    return [by_key(got, row) for row in got.rows]


def by_key(of: Table, row: Row) -> dict[str, Any]:
    """Return a row's cells by the keys of the headings."""
    return dict(zip([heading.key for heading in of.headings], row.cells, strict=True))


def cpus(of: Sample, **options: Any) -> list[Any]:
    """Return the CPUs that are shown, in their order."""
    return [row.cells[0] for row in table(of, **options).rows]


def test_counts_are_under_their_columns() -> None:
    got = table(ARM64)
    assert " ".join(heading.key for heading in got.headings) == (
        "cpu vm_entry vm_exit inst_abt data_abt wfx_inst sys_inst smc_inst ints other"
    )
    assert [row.cells for row in got.rows] == [
        (0, 43, 43, 0, 6, 27, 1, 0, 9, 0),
        (1, 226, 225, 0, 111, 3, 17, 0, 94, 0),
    ]


def test_x64_has_the_same_columns_for_both_vendors() -> None:
    intel = rows(sample({EPT: {0: 2}, ("vmx", 31): {0: 3}, ("vmx", 32): {0: 5}}))[0]
    amd = rows(sample({("svm", 0x400): {0: 2}, READ: {0: 3}, WRITE: {0: 5}}))[0]
    assert intel == amd
    assert " ".join(intel) == (
        "cpu vm_entry vm_exit ints ints_win ept ctrl_reg msr_rd msr_wr inst_io inst_hlt inst_cpuid "
        "inst_ple inst_vmcall inst_xsetbv other"
    )
    assert (intel["ept"], intel["msr_rd"], intel["msr_wr"], intel["vm_exit"]) == (2, 3, 5, 10)


def test_codes_without_a_column_are_other() -> None:
    """So are codes without a name, of unknown ISAs, of failed entries, and dropped codes."""
    strange = {
        ("vmx", 49): {0: 1},
        UNKNOWN: {0: 10},
        ("riscv", 3): {0: 100},
        ("vmx", 1 << 31 | 48): {0: 1000},
    }
    (row,) = rows(sample(strange, cpus=(0,), code_dropped={0: 10000}))
    assert (row["other"], row["vm_exit"], row["ept"]) == (11111, 11111, 0)


def test_threads_of_one_cpu_are_summed() -> None:
    of = attrs.evolve(sample(cpus=(0,)), exits=placed({EPT: {(0, 71): 2, (0, 72): 3}}))
    assert rows(of)[0]["ept"] == 5
    (reason,) = table(of, detail=True).rows[0].exits
    assert (reason.reason, reason.count) == ("EPT_VIOLATION", 5)


def test_idle_cpus_are_shown_and_left_out_on_request() -> None:
    of = sample({EPT: {2: 1}}, cpus=(0, 1, 2, 3), entries={1: 1})
    assert cpus(of) == [0, 1, 2, 3]
    assert cpus(of, nonzero=True) == [1, 2]
    assert cpus(sample(code_dropped={1: 1}), nonzero=True) == [1]
    assert cpus(sample({EPT: {0: 0}}, entries={1: 0}), nonzero=True) == []


def test_a_cpu_that_went_offline_still_shows_its_last_counts() -> None:
    of = sample({EPT: {5: 1}}, cpus=(0, 1), entries={6: 1}, code_dropped={7: 1})
    assert cpus(of) == [0, 1, 5, 6, 7]
    assert cpus(sample(cpus=(0, 1))) == [0, 1]


def test_only_the_requested_cpus_are_shown_and_totalled() -> None:
    of = sample({EPT: {0: 1, 1: 10, 2: 100}}, cpus=(0, 1, 2), entries={0: 2, 1: 20, 2: 200})
    got = table(of, cpus=(0, 2, 9), total=True)
    assert [row.cells[0] for row in got.rows] == [0, 2]
    assert got.total
    assert got.total.cells[:3] == ("total", 202, 101)


def test_a_total_of_nothing_is_zeros() -> None:
    got = table(sample(), cpus=(9,), total=True, detail=True)
    assert got.rows == ()
    assert got.total
    assert set(got.total.cells[1:]) == {0}
    assert len(got.total.cells) == len(got.headings)


def test_rates_are_per_second_of_elapsed_time() -> None:
    of = sample({EPT: {0: 5}}, cpus=(0,), entries={0: 10}, elapsed=2.5)
    got = table(of, rate=True, detail=True)
    assert got.unit == "per_second"
    assert by_key(got, got.rows[0])["vm_entry"] == 4.0
    assert by_key(got, got.rows[0])["ept"] == 2.0
    assert got.rows[0].exits[0].count == 2.0


def test_counts_stay_integers_however_large() -> None:
    n = (1 << 64) - 1
    of = sample({EPT: {0: n}, CPUID: {0: n}}, cpus=(0,), entries={0: n}, elapsed=0.3)
    assert rows(of)[0]["vm_exit"] == 2 * n
    assert table(of).unit == "count"


def test_a_report_of_zero_seconds_does_not_divide_by_zero() -> None:
    assert rows(sample({EPT: {0: 5}}, elapsed=0.0), rate=True)[0]["ept"] == 5


def test_reasons_are_columns_in_the_order_of_their_codes() -> None:
    got = table(sample({UNKNOWN: {0: 3}, EPT: {0: 2}, CPUID: {1: 1}}), reasons=True)
    assert " ".join(heading.label for heading in got.headings) == (
        "cpu vm_entry vm_exit CPUID EPT_VIOLATION vmx:0x99 other"
    )
    assert [row.cells for row in got.rows] == [(0, 0, 5, 0, 2, 3, 0), (1, 0, 1, 1, 0, 0, 0)]


def test_a_reason_once_seen_keeps_its_column() -> None:
    """Columns that appear and disappear are hard to read."""
    view = PerCpuView(Options(reasons=True))
    view.table(sample({EPT: {0: 1}}))
    second = view.table(sample({CPUID: {0: 1}}))
    third = view.table(sample())
    assert [h.label for h in second.headings[3:]] == ["CPUID", "EPT_VIOLATION", "other"]
    assert third.headings == second.headings
    assert set(third.rows[0].cells) == {0}


def test_dropped_codes_are_other_among_reasons_too() -> None:
    (row,) = rows(sample({EPT: {0: 1}}, cpus=(0,), code_dropped={0: 4}), reasons=True)
    assert (row["vm_exit"], row["EPT_VIOLATION"], row["other"]) == (5, 1, 4)


def test_detail_has_every_code_of_a_row() -> None:
    of = sample({READ: {0: 1}, UNKNOWN: {0: 2, 1: 3}, EPT: {1: 4}}, cpus=(0, 1, 2))
    got = table(of, detail=True, total=True)
    assert [[(r.isa, r.code, r.reason, r.count) for r in row.exits] for row in got.rows] == [
        [(*READ, "msr:rd", 1), (*UNKNOWN, "vmx:0x99", 2)],
        [(*EPT, "EPT_VIOLATION", 4), (*UNKNOWN, "vmx:0x99", 3)],
        [],
    ]
    assert got.total
    assert [(r.reason, r.count) for r in got.total.exits] == [
        ("msr:rd", 1),
        ("EPT_VIOLATION", 4),
        ("vmx:0x99", 5),
    ]


def test_without_detail_rows_carry_none() -> None:
    assert [row.exits for row in table(ARM64, total=True).rows] == [(), ()]


def test_losses_are_always_numbers_and_notes_only_if_there_are_some() -> None:
    assert table(sample()).losses == (("code_dropped", 0), ("unsupported_isa", 0), ("missed", 0))
    assert table(sample()).notes == ()
    got = table(sample(code_dropped={0: 2, 1: 3}, unsupported_isa=7, missed=1, notes=("a word",)))
    assert got.losses == (("code_dropped", 5), ("unsupported_isa", 7), ("missed", 1))
    assert [note.split(" ")[0] for note in got.notes] == ["a", "5", "7", "1"]


def test_a_report_carries_the_samples_time() -> None:
    got = table(sample(elapsed=0.9))
    assert (got.timestamp, got.elapsed, got.arch) == ("2026-01-31T12:00:00.250Z", 0.9, "x64")


TOPOLOGY = {
    0: CpuTopology(node=0, socket=0, die=0, core=4),
    1: CpuTopology(node=1, socket=1, die=0, core=4),
    2: CpuTopology(node=0, socket=0, die=0, core=4),
    3: CpuTopology(node=1, socket=1, die=1, core=4),
}


def on_two_sockets(of: Sample) -> Sample:
    """Return the sample with a topology of its CPUs 0 to 3."""
    return attrs.evolve(of, topology=TOPOLOGY)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("node", [(0, 2, 101), (1, 0, 1010), ("?", 5, 10000)]),
        ("socket", [(0, 2, 101), (1, 0, 1010), ("?", 5, 10000)]),
        (
            "core",
            [
                ("S0-D0-C4", 2, 101),
                ("S1-D0-C4", 0, 10),
                ("S1-D1-C4", 0, 1000),
                ("S?-D0-C?", 5, 10000),
            ],
        ),
    ],
)
def test_cpus_of_a_node_a_socket_or_a_core_are_summed(by: str, expected: list[Any]) -> None:
    """Core numbers repeat in each die; CPU 4 is offline, and its location is unknown."""
    counts = {0: 1, 1: 10, 2: 100, 3: 1000, 4: 10000}
    of = on_two_sockets(sample({EPT: counts}, cpus=(0, 1, 2, 3), entries={2: 2, 4: 5}))
    got = table(of, by=by, total=True)
    assert [row.cells[:3] for row in got.rows] == expected
    assert (got.headings[0].key, got.headings[0].label) == (by, by)
    assert got.total
    assert got.total.cells[:3] == ("total", 7, 11111)


def test_only_the_requested_cpus_are_summed() -> None:
    of = on_two_sockets(sample({EPT: {0: 1, 1: 10, 2: 100}}, cpus=(0, 1, 2, 3)))
    got = table(of, by="socket", cpus=(1, 2), detail=True)
    assert [row.cells[::2][:2] for row in got.rows] == [(0, 100), (1, 10)]
    assert [[r.count for r in row.exits] for row in got.rows] == [[100], [10]]


def test_a_sample_without_topology_cannot_be_summed_by_it() -> None:
    for by in ("node", "socket", "core"):
        with pytest.raises(UsageError, match="the recording has no CPU topology") as caught:
            table(ARM64, by=by)
        assert caught.value.hint == f"leave out --by {by}"


def test_rows_are_sorted_by_a_column_most_first() -> None:
    of = sample({EPT: {0: 1, 1: 5, 2: 5, 3: 9}}, cpus=(0, 1, 2, 3), entries={0: 7})
    assert cpus(of, sort="ept") == [3, 1, 2, 0]
    assert cpus(of, sort="vm_entry") == [0, 1, 2, 3]
    assert cpus(of, sort="cpu") == cpus(of) == [0, 1, 2, 3]
    assert cpus(of, sort="EPT_VIOLATION", reasons=True) == [3, 1, 2, 0]
    assert cpus(of, sort="CPUID", reasons=True) == [0, 1, 2, 3], "a reason that may still occur"


@pytest.mark.parametrize("options", [{}, {"reasons": True}])
def test_an_unknown_column_cannot_be_sorted_by(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="unknown column 'cpuids'") as caught:
        table(sample({EPT: {0: 1}}), sort="cpuids", **options)
    assert caught.value.hint.startswith("columns: cpu, vm_entry, vm_exit, ")


def test_the_rows_after_the_top_are_summed() -> None:
    of = sample({EPT: {0: 1, 1: 5, 2: 3}, CPUID: {0: 1}}, cpus=(0, 1, 2, 3), entries={0: 7})
    got = table(of, top=1, sort="vm_exit", total=True, detail=True)
    assert [row.cells[:3] for row in got.rows] == [(1, 0, 5), ("(others)", 7, 5)]
    assert [(r.reason, r.count) for r in got.rows[1].exits] == [("CPUID", 1), ("EPT_VIOLATION", 4)]
    assert got.total
    assert got.total.cells[:3] == ("total", 7, 10)
    assert cpus(of, top=3, sort="vm_exit") == [1, 2, 0], "the fourth did nothing"
    assert cpus(of, top=9) == [0, 1, 2, 3]


OPTIONS = st.builds(
    Options,
    cpus=st.none() | st.sets(st.integers(0, 5)),
    by=st.sampled_from(LEVELS),
    sort=st.sampled_from(("", "vm_entry", "vm_exit", "other")),
    top=st.none() | st.integers(1, 3),
    nonzero=st.booleans(),
    total=st.booleans(),
    reasons=st.booleans(),
    detail=st.booleans(),
)


@given(SAMPLES.map(on_two_sockets), OPTIONS)
def test_the_columns_sum_to_vm_exit_in_every_row(of: Sample, options: Options) -> None:
    got = PerCpuView(options).table(of)
    for row in (*got.rows, *([got.total] if got.total else [])):
        assert row.cells[2] == sum(_number(row, i) for i in range(3, len(row.cells)))


@given(SAMPLES, st.booleans())
def test_every_exit_of_a_sample_is_in_one_row(of: Sample, reasons: bool) -> None:  # noqa: FBT001
    got = table(of, reasons=reasons, detail=True)
    everything = total(of) + sum(of.code_dropped.values())
    assert sum(_number(row, 2) for row in got.rows) == everything
    assert sum(_number(row, 1) for row in got.rows) == sum(of.entries.values())
    behind = sum(reason.count for row in got.rows for reason in row.exits)
    assert behind == everything - sum(of.code_dropped.values())


@given(SAMPLES.map(on_two_sockets), OPTIONS)
def test_the_total_is_the_sum_of_the_rows_shown(of: Sample, options: Options) -> None:
    got = PerCpuView(attrs.evolve(options, total=True, detail=True)).table(of)
    assert got.total
    for i in range(1, len(got.headings)):
        assert _number(got.total, i) == sum(_number(row, i) for row in got.rows)
    codes: dict[Code, int | float] = {}
    for reason in [r for row in got.rows for r in row.exits]:
        codes[reason.isa, reason.code] = codes.get((reason.isa, reason.code), 0) + reason.count
    assert {(r.isa, r.code): r.count for r in got.total.exits} == codes


@given(SAMPLES.map(on_two_sockets), OPTIONS)
def test_rates_are_the_counts_divided(of: Sample, options: Options) -> None:
    counts = PerCpuView(options).table(of)
    rates = PerCpuView(attrs.evolve(options, rate=True)).table(of)
    assert rates.headings == counts.headings
    for slow, fast in zip(counts.rows, rates.rows, strict=True):
        for i in range(1, len(counts.headings)):
            expected = _number(slow, i) / (of.elapsed or 1)
            assert abs(_number(fast, i) - expected) <= abs(expected) * 1e-12


@given(st.lists(SAMPLES.map(lambda s: attrs.evolve(s, arch="x64")), min_size=1, max_size=4))
def test_headings_are_unique_and_only_ever_grow(samples: list[Sample]) -> None:
    view = PerCpuView(Options(reasons=True))
    known: set[str] = set()
    for of in samples:
        keys = [heading.key for heading in view.table(of).headings]
        assert len(keys) == len(set(keys))
        assert known <= set(keys)
        known = set(keys)


def _number(row: Row, i: int) -> int | float:
    cell = row.cells[i]
    assert isinstance(cell, int | float)
    return cell
