"""Exits by any axes: every exit is in exactly one row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats import arch as arches
from kstats.errors import UsageError
from kstats.model import Code, Sample
from kstats.table import Cell, Table
from kstats.views.exits import AXES, ExitsView, Options, parse_axes, vm_names
from kstats.vms.identity import Kind, Thread, Vm
from kstats.vms.select import matches
from tests.samples import SAMPLES, placed, sample, total

HLT, EPT, STRANGE = ("vmx", 12), ("vmx", 48), ("vmx", 0x99)
WEB, DB = Vm(100, 1, Kind.QEMU, "web"), Vm(200, 2, Kind.FIRECRACKER, "db")


def number(tid: int, pid: int) -> int:
    """Return the kernel's pid_tgid of a thread."""
    return pid << 32 | tid


THREADS = {
    number(101, 100): Thread(101, 100, 0, WEB),
    number(102, 100): Thread(102, 100, 1, WEB),
    number(201, 200): Thread(201, 200, None, DB),
}


def happened(exits: dict[Code, dict[tuple[int, ...], int]], **fields: Any) -> Sample:
    """Return a sample of these exits of THREADS."""
    return attrs.evolve(sample(**fields), exits=placed(exits), threads=THREADS)


BUSY = happened(
    {
        HLT: {(0, number(101, 100)): 10, (1, number(102, 100)): 5, (1, number(101, 100)): 1},
        EPT: {(0, number(201, 200)): 4},
    }
)


def table(of: Sample, by: str, **options: Any) -> Table:
    """Return a report by the axes ``by``."""
    return ExitsView(Options(parse_axes(by), **options)).table(of)


def rows(of: Sample, by: str, **options: Any) -> list[tuple[Cell, ...]]:
    """Return the rows without their share."""
    return [row.cells[:-1] for row in table(of, by, **options).rows]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("cpu", [(0, 14), (1, 6)]),
        ("pid", [(100, 16), (200, 4)]),
        ("tid", [(101, 11), (102, 5), (201, 4)]),
        ("vm", [("web", 16), ("db", 4)]),
        ("vm,vcpu", [("web", 0, 11), ("web", 1, 5), ("db", "?", 4)]),
        ("isa", [("vmx", 20)]),
        ("reason", [("HLT", 16), ("EPT_VIOLATION", 4)]),
        ("column", [("inst_hlt", 16), ("ept", 4)]),
        ("category", [("idle", 16), ("memory", 4)]),
        ("reason,cpu", [("HLT", 0, 10), ("HLT", 1, 6), ("EPT_VIOLATION", 0, 4)]),
    ],
)
def test_exits_by_each_axis(by: str, expected: list[tuple[Cell, ...]]) -> None:
    assert rows(BUSY, by) == expected


def test_shares_are_of_all_exits() -> None:
    assert [row.cells[-1] for row in table(BUSY, "vm").rows] == [80.0, 20.0]


def test_rows_after_the_top_are_summed_in_one_row() -> None:
    assert rows(BUSY, "tid", top=1) == [(101, 11), ("(others)", 9)]
    assert rows(BUSY, "vm,vcpu", top=2)[-1] == ("(others)", None, 4)
    assert rows(BUSY, "tid", top=3) == rows(BUSY, "tid")


def test_rows_are_sorted_by_count_or_by_an_axis() -> None:
    assert rows(BUSY, "tid", sort="tid") == [(101, 11), (102, 5), (201, 4)]
    assert rows(BUSY, "reason", sort="reason") == [("EPT_VIOLATION", 4), ("HLT", 16)]


def test_a_tree_has_the_sum_of_each_group_before_it() -> None:
    web, db = BUSY.threads[number(101, 100)].vm.name, BUSY.threads[number(201, 200)].vm.name
    of = happened(
        {
            HLT: {(0, number(101, 100)): 3, (1, number(102, 100)): 5},
            EPT: {(0, number(201, 200)): 6, (0, number(101, 100)): 2},
        }
    )
    assert rows(of, "vm,vcpu", tree=True) == [
        (web, None, 10),
        (web, 0, 5),
        (web, 1, 5),
        (db, None, 6),
        (db, "?", 6),
    ]
    assert rows(of, "vm,vcpu,reason", tree=True, top=1) == [
        (web, None, None, 10),
        (web, 1, "HLT", 5),
        (db, None, None, 6),
        (db, "?", "EPT_VIOLATION", 6),
    ]
    by_name = rows(of, "vm,reason", tree=True, sort="vm")
    assert [row[0] for row in by_name if row[1] is None] == sorted([web, db])
    assert [row.cells[-1] for row in table(of, "vm,vcpu", tree=True).rows][:2] == [62.5, 31.25]


def test_a_tree_of_nothing_is_empty() -> None:
    assert rows(happened({}), "vm,vcpu", tree=True) == []


def test_numbers_are_sorted_numerically_before_words() -> None:
    threads = {number(i, 100): Thread(i, 100, vcpu, WEB) for i, vcpu in enumerate((10, 9, None), 1)}
    of = attrs.evolve(
        BUSY, threads=threads, exits=placed({HLT: {(0, thread): 1 for thread in threads}})
    )
    assert [row[0] for row in rows(of, "vcpu", sort="vcpu")] == [9, 10, "?"]


def test_exits_without_a_thread_are_counted_and_noted() -> None:
    of = happened({HLT: {(0, 0): 3, (0, number(101, 100)): 2}})
    assert rows(of, "vm,tid") == [("?", "?", 3), ("web", 101, 2)]
    (note,) = table(of, "vm").notes
    assert note.startswith("3 unattributed exits: ")


def test_exits_without_a_code_keep_their_cpu() -> None:
    of = happened({}, code_dropped={1: 6})
    assert rows(of, "cpu,reason,vm") == [(1, "?", "?", 6)]


def test_an_unknown_thread_keeps_its_numbers() -> None:
    of = happened({HLT: {(0, number(7, 6)): 1}})
    assert rows(of, "pid,tid,vm,vcpu") == [(6, 7, "?", "?", 1)]


def test_codes_without_a_name_keep_their_number() -> None:
    of = happened({STRANGE: {(0, number(101, 100)): 1}})
    assert rows(of, "isa,reason,column,category") == [("vmx", "vmx:0x99", "other", "other", 1)]


def test_vms_with_the_same_name_are_distinguished_by_pid() -> None:
    other = Vm(300, 3, Kind.QEMU, "web")
    threads = [Thread(1, vm.pid, 0, vm) for vm in (WEB, DB, other)]
    assert vm_names(threads) == {WEB: "web(100)", DB: "db", other: "web(300)"}


def test_rates_are_per_elapsed_second_and_shares_stay() -> None:
    got = table(attrs.evolve(BUSY, elapsed=2.0), "vm", rate=True)
    assert got.unit == "per_second"
    assert [row.cells for row in got.rows] == [("web", 8.0, 80.0), ("db", 2.0, 20.0)]


def test_without_exits_there_are_no_rows() -> None:
    assert rows(happened({}), "vm,reason") == []


@pytest.mark.parametrize("text", ["", "cpu,", ",", "colour", "CPU", "cpu vm", "count"])
def test_an_invalid_axis_is_an_error_that_lists_the_valid_ones(text: str) -> None:
    with pytest.raises(UsageError, match="unknown axis") as caught:
        parse_axes(text)
    assert caught.value.hint == f"axes: {', '.join(AXES)}"


def test_an_axis_cannot_be_repeated() -> None:
    with pytest.raises(UsageError, match="named twice"):
        parse_axes("cpu,vm,cpu")
    assert parse_axes("vm, cpu") == ("vm", "cpu")


SOME_AXES = st.lists(st.sampled_from(AXES), min_size=1, max_size=4, unique=True).map(tuple)


@given(SAMPLES, SOME_AXES, st.none() | st.integers(1, 3), st.booleans())
def test_every_exit_is_in_one_row(
    of: Sample,
    by: tuple[str, ...],
    top: int | None,
    by_axis: bool,  # noqa: FBT001
) -> None:
    sort = by[0] if by_axis else "count"
    got = ExitsView(Options(by, top=top, sort=sort)).table(of)
    everything = total(of) + sum(of.code_dropped.values())
    counts = [row.cells[len(by)] for row in got.rows]
    assert sum(n for n in counts if isinstance(n, int)) == everything
    assert len(got.rows) <= (len(got.rows) if top is None else top + 1)
    for row in got.rows:
        assert len(row.cells) == len(got.headings)


@given(SAMPLES, SOME_AXES)
def test_fewer_axes_are_sums_over_the_others(of: Sample, by: tuple[str, ...]) -> None:
    whole = ExitsView(Options(by)).table(of)
    part = ExitsView(Options(by[:1])).table(of)
    sums: Counter[Cell] = Counter()
    for row in whole.rows:
        n = row.cells[len(by)]
        assert isinstance(n, int)
        sums[row.cells[0]] += n
    assert sums == {row.cells[0]: row.cells[1] for row in part.rows}


def test_categories_and_columns_are_the_architectures() -> None:
    reason = arches.reason(*HLT)
    assert rows(BUSY, "column,category")[0][:2] == (reason.column, reason.category)


POD = Vm(
    300,
    3,
    Kind.LIBVIRT,
    "default_vm",
    uuid="3e8f1c2a-0b4d-4c6e-9f10-2a3b4c5d6e7f",
    vmid=7,
    pod="1b5a",
    namespace="default",
)


def of_threads(*threads: Thread, ended: frozenset[int] = frozenset()) -> Sample:
    """Return a sample with one exit of the first thread, two of the second, and so on."""
    numbers = {number(thread.tid, thread.pid): thread for thread in threads}
    places = {(0, tid): n for n, tid in enumerate(numbers, 1)}
    return attrs.evolve(sample(), exits=placed({HLT: places}), threads=numbers, ended=ended)


def test_facts_about_vms_are_axes() -> None:
    gone = Vm(400, None, Kind.OTHER, "")
    of = of_threads(
        Thread(301, 300, 0, POD),
        Thread(101, 100, 0, WEB),
        Thread(401, 400, None, gone),
    )
    facts = "vm,vmm,uuid,vmid,pod,namespace"
    assert rows(of, facts) == [
        ("?", "?", "?", "?", "?", "?", 3),
        ("web", "qemu", None, None, None, None, 2),
        ("default_vm", "libvirt", POD.uuid, 7, "1b5a", "default", 1),
    ]
    assert rows(of, "namespace", sort="namespace") == [("?", 3), (None, 2), ("default", 1)]


@pytest.mark.parametrize("name", ["(others)", "(idle)", "?"])
def test_a_vm_with_the_name_of_another_row_is_distinguished(name: str) -> None:
    named = Vm(500, 1, Kind.QEMU, name)
    of = of_threads(Thread(101, 100, 0, WEB), Thread(201, 200, 0, DB), Thread(501, 500, 0, named))
    assert rows(of, "vm", top=1) == [(f"{name}(500)", 3), ("(others)", 3)]
    assert matches(named, f"{name}(500)")


def test_a_vm_that_is_called_like_another_one_with_its_pid() -> None:
    twin, odd = Vm(600, 1, Kind.QEMU, "web"), Vm(700, 1, Kind.QEMU, "web(100)")
    names = vm_names([Thread(1, 1, 0, vm) for vm in (WEB, twin, odd)])
    assert sorted(names.values()) == ["web(100)(100)", "web(100)(700)", "web(600)"]


def test_several_vcpus_without_a_number_are_several_rows() -> None:
    threads = [Thread(tid, 100, None, WEB) for tid in (101, 102)]
    of = of_threads(*threads, Thread(201, 200, None, DB))
    assert rows(of, "vm,vcpu") == [("db", "?", 3), ("web", "?(102)", 2), ("web", "?(101)", 1)]
    assert rows(of, "vm") == [("db", 3), ("web", 3)]


def test_threads_of_one_name_in_a_process_with_several_vms_are_several_vcpus() -> None:
    of = of_threads(*(Thread(tid, 100, 0, WEB) for tid in (101, 102)))
    assert rows(of, "vm,vcpu") == [("web", "0(102)", 2), ("web", "0(101)", 1)]


def test_threads_that_run_a_vcpu_in_turn_are_one_vcpu() -> None:
    threads = [Thread(tid, 100, 0, WEB) for tid in (101, 102)]
    of = of_threads(*threads, ended=frozenset({number(101, 100)}))
    assert rows(of, "vm,vcpu") == [("web", 0, 3)]
