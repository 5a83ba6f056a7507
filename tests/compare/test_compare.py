"""Comparisons: sums by hand, and what is zero, missing, new, or not known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.arch.base import Category
from kstats.compare.aggregate import Aggregate
from kstats.compare.compare import Options, compare
from kstats.compare.result import NEW, Comparison, Figures, Line
from kstats.errors import KstatsError
from kstats.model import Sample
from tests.samples import SAMPLES, sample, total
from tests.views.hosts import DB_0, WEB_0, WEB_1, happened, steady

HLT, IO, EPT, NPF = ("vmx", 12), ("vmx", 30), ("vmx", 48), ("svm", 0x400)
WFX, DABT = ("arm64", 1), ("arm64", 0x24)

BUSY = happened({HLT: {(0, WEB_0): 10, (1, WEB_1): 5}, EPT: {(1, DB_0): 45}}, elapsed=2.0)


def aggregate(samples: Iterable[Sample], by: str | None = None) -> Aggregate:
    """The samples, added up, with their reasons."""
    found = Aggregate(by, reasons=True)
    for one in samples:
        found.add(one)
    return found


def compared(*hosts: Iterable[Sample], by: str | None = None, **options: Any) -> Comparison:
    """The comparison of hosts called a, b and so on."""
    aggregates = {chr(ord("a") + i): aggregate(samples, by) for i, samples in enumerate(hosts)}
    return compare(aggregates, Options(**options))


def lines(comparison: Comparison, category: str, reason: str = "") -> list[Line]:
    """The lines of a category or of one of its reasons."""
    return [o for o in comparison.lines if (o.category, o.reason) == (category, reason)]


def ratios(comparison: Comparison, category: str, reason: str = "") -> list[Any]:
    """Their ratios."""
    return [line.ratio for line in lines(comparison, category, reason)]


def test_the_figures_of_a_host() -> None:
    """60 exits in 2 seconds, 3 vCPUs: 30 a second, 10 a vCPU-second."""
    only = compared([BUSY])
    (total,) = lines(only, "total")
    assert total.figures == Figures(60, 30.0, 30.0, None, None, 10.0, 100.0)
    (idle,) = lines(only, "idle")
    assert idle.figures == Figures(15, 7.5, 7.5, None, None, 2.5, 25.0)
    assert only.per == "vcpu_second"
    (subject,) = only.subjects
    assert (subject.seconds, subject.samples, subject.cpus, subject.vcpus) == (2.0, 1, 2, 3.0)
    assert (subject.begin, subject.end) == ("2026-01-31T11:59:58Z", "2026-01-31T12:00:00Z")
    assert subject.isas == ("vmx",)


def test_categories_come_in_their_order_and_the_total_last() -> None:
    assert [line.category for line in compared([BUSY]).lines] == [*Category, "total"]


def test_ratios_are_per_vcpu_second_to_the_first() -> None:
    """Twice the exits by three times the vCPUs are fewer, not more."""
    one_vcpu = {WEB_0: BUSY.threads[WEB_0]}
    both = compared(steady(HLT, [10] * 3, one_vcpu), steady(HLT, [20] * 3))
    assert ratios(both, "idle") == [1.0, pytest.approx(2 / 3)]
    assert ratios(both, "total") == [1.0, pytest.approx(2 / 3)]


def test_ratios_per_second_where_they_are_asked_for_or_vcpus_are_not_known() -> None:
    both = compared(steady(HLT, [10]), steady(HLT, [20], {}))
    assert (both.per, ratios(both, "idle")) == ("second", [1.0, 2.0])
    assert "b: the number of vCPUs is unknown: exits were not recorded by thread" in both.notes
    assert lines(both, "idle")[1].figures.per_vcpu_second is None
    wanted = compared(steady(HLT, [10]), steady(HLT, [20]), per="second")
    assert (wanted.per, ratios(wanted, "idle")) == ("second", [1.0, 2.0])


def test_ratios_per_vcpu_second_cannot_be_had_without_vcpus() -> None:
    with pytest.raises(KstatsError, match="the number of vCPUs of b is unknown"):
        compared(steady(HLT, [10]), steady(HLT, [20], {}), per="vcpu_second")


def test_a_sample_without_exits_and_threads_does_not_hide_the_vcpus_of_the_others() -> None:
    (subject,) = compared([*steady(HLT, [10]), happened({}, {})]).subjects
    assert subject.vcpus == 1.5


def test_zero_missing_and_new_are_told_apart() -> None:
    """No port I/O on the first, some on the second, none possible on the third."""
    three = compared(steady(HLT, [1]), steady(IO, [5]), steady(WFX, [1], arch="arm64"))
    none, some, impossible = lines(three, "io")
    assert (none.figures.count, none.figures.per_second, none.ratio) == (0, 0.0, None)
    assert (some.figures.count, some.ratio) == (5, NEW)
    assert (impossible.figures, impossible.ratio) == (Figures(), None)
    assert ratios(three, "idle") == [1.0, 0.0, 1.0]
    assert "c: arm64 has no exits in io or spin: see --explain" in three.notes


def test_a_host_with_no_exits_at_all_still_knows_what_it_could_have_had() -> None:
    silent = happened({}, arch="arm64")
    quiet = compared(steady(HLT, [1]), [silent])
    assert lines(quiet, "io")[1].figures == Figures()
    assert lines(quiet, "memory")[1].figures.count == 0
    assert quiet.empty == tuple(str(c) for c in Category if c != "idle")


def test_the_spread_is_of_samples_and_needs_enough_of_them() -> None:
    wide = compared(steady(HLT, [*range(1, 101), 1000]), steady(HLT, [1, 2, 300]))
    many, few = (line.figures for line in lines(wide, "idle"))
    assert (many.median, many.p5, many.p95) == (51, 6, 96)
    assert (few.median, few.p5, few.p95) == (2, None, None)
    assert "b: 3 samples are too few for p5 and p95, which need 20" in wide.notes


def test_a_sample_without_an_exit_is_a_zero_of_the_spread() -> None:
    (idle,) = lines(compared(steady(HLT, [0] * 18 + [5, 9])), "idle")
    assert (idle.figures.median, idle.figures.p5, idle.figures.p95) == (0, 0, 5)


def test_reasons_stand_below_their_category_of_hosts_that_have_them() -> None:
    both = compared(steady(EPT, [4]), steady(NPF, [8]), reasons=True)
    assert [
        (o.reason, o.subject.recording, o.ratio) for o in both.lines if o.category == "memory"
    ] == [
        ("", "a", 1.0),
        ("", "b", 2.0),
        ("npf", "b", None),
        ("EPT_VIOLATION", "a", 1.0),
    ]


def test_the_same_reason_before_and_after() -> None:
    both = compared(steady(EPT, [4]), [*steady(EPT, [4]), *steady(HLT, [8])], reasons=True)
    assert ratios(both, "memory", "EPT_VIOLATION") == [1.0, 0.5]
    assert ratios(both, "idle", "HLT") == [None, NEW]
    assert lines(both, "idle", "HLT")[0].figures.count == 0


def test_vms_of_one_host_the_busiest_first() -> None:
    vms = compared([BUSY], by="vm")
    assert [(s.part, s.exits, s.vcpus) for s in vms.subjects] == [("db", 45, 1.0), ("web", 15, 2.0)]
    assert ratios(vms, "total") == [1.0, pytest.approx(15 / 2 / 45)]
    assert vms.notes[0] == "ratios compare exits per vCPU-second with vm db"


def test_a_vm_counts_only_while_it_was_there() -> None:
    gone = happened({HLT: {(0, WEB_0): 4}}, {WEB_0: BUSY.threads[WEB_0]}, elapsed=8.0)
    vms = compared([BUSY, gone], by="vm")
    assert {s.part: s.seconds for s in vms.subjects} == {"db": 2.0, "web": 10.0}


def test_cpus_of_one_host_in_their_order() -> None:
    cpus = compared([BUSY], by="cpu")
    assert [(s.part, s.exits, s.vcpus) for s in cpus.subjects] == [(0, 10, None), (1, 50, None)]
    assert (cpus.per, ratios(cpus, "total")) == ("second", [1.0, 5.0])
    assert not any("vCPUs" in note for note in cpus.notes)


def test_parts_of_two_hosts_are_compared_with_their_namesakes() -> None:
    more = happened({HLT: {(0, WEB_0): 30}, EPT: {(2, DB_0): 1}}, cpus=(0, 1, 2), elapsed=2.0)
    cpus = compared([BUSY], [more], by="cpu")
    assert [(o.subject.recording, o.subject.part, o.ratio) for o in lines(cpus, "total")] == [
        ("a", 0, 1.0),
        ("a", 1, 1.0),
        ("b", 0, 3.0),
        ("b", 1, 0.0),
        ("b", 2, None),
    ]


def test_only_the_busiest_parts() -> None:
    assert [s.part for s in compared([BUSY], by="cpu", top=1).subjects] == [1]


def test_what_was_not_counted_is_said() -> None:
    lossy = compared([sample({HLT: {0: 1}}, code_dropped={0: 2}, unsupported_isa=3)], reasons=True)
    assert lines(lossy, "other", "(dropped code)")[0].figures.count == 2
    assert lines(lossy, "total")[0].figures.count == 3
    assert (
        "a: 3 exits of an unsupported ISA: not counted; the vendor module changed, restart kstats"
    ) in lossy.notes


def test_recordings_without_samples_are_no_division_by_zero() -> None:
    empty = compared([], [], reasons=True)
    assert "a: the recording has no samples" in empty.notes
    assert {line.ratio for line in empty.lines} == {None}


@given(
    st.lists(st.lists(SAMPLES, max_size=3), min_size=1, max_size=3),
    st.sampled_from([None, "cpu", "vm"]),
)
def test_every_exit_is_in_one_category_and_one_reason(
    hosts: list[list[Sample]], by: str | None
) -> None:
    made = compared(*hosts, by=by, reasons=True)
    for subject in made.subjects:
        own = [line for line in made.lines if line.subject is subject and line.category != "total"]
        whole = [line.figures.count or 0 for line in own if line.code is None]
        assert sum(whole) == subject.exits
        assert sum(line.figures.count or 0 for line in own if line.code) == subject.exits
    everything = sum(
        total(one) + sum(one.code_dropped.values()) for samples in hosts for one in samples
    )
    assert sum(subject.exits for subject in made.subjects) == everything
