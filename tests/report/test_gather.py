"""Recordings of any length and any number of CPUs keep every exit and the peaks."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from kstats.arch.base import Category
from kstats.model import Sample
from kstats.report.bins import BINS
from kstats.report.chapter import Chapter
from kstats.report.gather import Gathered
from kstats.report.rows import ROWS
from kstats.topology import CpuTopology
from tests.samples import MOMENT
from tests.views.hosts import happened

HLT, EPT = ("vmx", 12), ("vmx", 48)


def at(second: float, exits: dict[tuple[str, int], dict[int, int]], elapsed: float = 1.0) -> Sample:
    """Return a sample that ends at this second; exits are by code and CPU."""
    placed = {code: {(cpu, 0): n for cpu, n in row.items()} for code, row in exits.items()}
    return happened(placed, {}, time=MOMENT + second, elapsed=elapsed)


def gathered(samples: Iterable[Sample]) -> Gathered:
    of = Gathered("x", {})
    of.add(samples)
    return of


def rates(of: Gathered, code: tuple[str, int]) -> list[float | None]:
    return of.bins.rates(of.codes.get(code))


def peaks(of: Gathered, category: Category | None) -> list[list[float]]:
    return [list(of_bin) for of_bin in of.peaks.get(category).values()]


def total(of: Gathered) -> int:
    return sum(n for code in of.codes for n in of.codes.get(code).values())


def test_a_few_samples_have_a_bin_each() -> None:
    of = gathered([at(1, {HLT: {0: 4}}), at(2, {HLT: {1: 6}, EPT: {1: 2}})])
    assert (len(of.bins), of.bins.samples_per_bin, len(of.rows)) == (2, 1, 2)
    assert rates(of, HLT) == [4, 6]
    assert rates(of, EPT) == [0, 2]
    assert of.highest.get(None) == {0: 4, 1: 8}
    assert peaks(of, Category.IDLE) == [[4, 0], [0, 6]]
    assert peaks(of, None) == [[4, 0], [0, 8]]
    assert of.bins.starts == [MOMENT, MOMENT + 1]
    assert of.bins.ends == [MOMENT + 1, MOMENT + 2]


@pytest.mark.parametrize("count", [BINS, BINS + 1, 3 * BINS, 20_001])
def test_a_long_recording_keeps_sums_means_and_peaks(count: int) -> None:
    chosen = random.Random(count)  # noqa: S311 - any numbers do, but the same each time
    exits = [chosen.randrange(10) for _ in range(count)]
    spike = chosen.randrange(count)
    exits[spike] = 5000
    of = gathered(at(i + 1, {HLT: {i % 3: n}}) for i, n in enumerate(exits))
    bins = of.bins
    assert BINS // 2 < len(bins) <= BINS
    each = bins.samples_per_bin
    assert (len(bins) - 1) * each < count <= len(bins) * each
    assert (bins.starts[0], bins.ends[-1]) == (MOMENT, MOMENT + count)
    assert bins.ends[:-1] == bins.starts[1:]
    assert total(of) == sum(exits)
    assert sum(bins.seconds) == count
    highest = of.highest.get(None)
    place = max(highest, key=lambda at: highest[at])
    assert place == spike // each
    assert (highest[place], of.peaks.get(None)[place][spike % 3]) == (5000, 5000)
    assert rates(of, HLT)[0] == pytest.approx(sum(exits[:each]) / each)


@pytest.mark.parametrize("cpus", [ROWS, ROWS + 1, 3 * ROWS])
def test_many_cpus_share_rows_and_the_busiest_shows(cpus: int) -> None:
    busy = cpus - 2
    row = dict.fromkeys(range(cpus), 1) | {busy: 900}
    of = gathered([at(1, {HLT: {0: 3}}), at(2, {HLT: row})])
    assert len(of.rows) <= ROWS
    last = peaks(of, None)[-1]
    assert last.index(max(last)) == of.rows.place(busy) // of.rows.cpus_per_row
    assert max(peaks(of, Category.IDLE)[-1]) == 900
    assert total(of) == 3 + cpus - 1 + 900


def test_a_huge_cpu_number_takes_one_row() -> None:
    of = gathered([at(1, {HLT: {1 << 60: 7}})])
    assert total(of) == 7
    assert of.rows.labels() == ["0", "1", str(1 << 60)]


def test_cpus_are_in_the_order_of_the_topology() -> None:
    """Neighbouring numbers are often on different sockets, or threads of different cores."""
    where = {cpu: CpuTopology(node=cpu % 2, socket=cpu % 2, core=cpu // 4) for cpu in range(6)}
    sample = happened({}, {}, cpus=(0, 1, 2, 3, 4, 5), topology=where)
    of = gathered([sample, happened({HLT: {(9, 0): 1}}, {}, cpus=(0, 1, 9), topology=where)])
    assert of.rows.labels() == ["0", "2", "4", "1", "3", "5", "9"]
    assert of.rows.nodes() == [(0, 0), (3, 1), (6, -1)]


def test_a_time_without_samples_is_not_zero() -> None:
    of = gathered([at(1, {HLT: {0: 4}}), at(4, {HLT: {0: 8}})])
    assert (of.bins.ends[0], of.bins.starts[1]) == (MOMENT + 1, MOMENT + 3)
    assert rates(of, HLT) == [4, 8]
    assert of.bins.gaps() == {0}
    assert of.bins.spread(8) == [(0, 0, 2), (1, 6, 8)]


def test_late_samples_keep_their_length() -> None:
    """The first sample of a recording is often late; this makes neither a gap nor an edge."""
    of = gathered([at(1.7, {HLT: {0: 17}}, 1.7), at(2.7, {HLT: {0: 1}}), at(3.72, {}, 1.02)])
    assert [start - MOMENT for start in of.bins.starts] == pytest.approx([0, 1.7, 2.7])
    assert rates(of, HLT) == pytest.approx([10, 1, 0])
    assert not of.bins.gaps()


@pytest.mark.parametrize(("second", "back"), [(-1e9, 1e9 + 2), (0.0, 2), (1.9, 0), (1e9, 0)])
def test_setting_the_clock_loses_no_exits(second: float, back: float) -> None:
    """If the clock is set back, time continues; if forward, there is a time without samples."""
    exits = ({HLT: {0: 1}}, {HLT: {0: 2}}, {HLT: {0: 4}})
    times = (1, second, second + 1)
    of = gathered(at(time, row) for time, row in zip(times, exits, strict=True))
    bins = of.bins
    assert total(of) == 7
    assert bins.set_back == pytest.approx(back)
    assert len(bins) == 3
    assert all(start <= end for start, end in zip(bins.starts, bins.ends, strict=True))
    assert all(end <= start for end, start in zip(bins.ends, bins.starts[1:], strict=False))
    assert bins.seconds == [1, 1, 1]


def test_samples_of_zero_seconds_are_counted() -> None:
    of = gathered([at(1, {HLT: {0: 1}}, elapsed=0.0), at(1, {HLT: {0: 2}}, elapsed=0.0)])
    assert total(of) == 3
    assert rates(of, HLT) == [None, None]


def test_exits_without_a_column_or_a_backend_are_other() -> None:
    """Codes of known ISAs keep their category."""
    of = Gathered("x", {})
    of.add([happened({HLT: {(0, 0): 4}, ("nowhere", 3): {(0, 0): 5}}, {}, arch="nowhere")])
    legend = Chapter(0, of).over_time.figure.legend
    assert [(entry.name, entry.remark) for entry in legend] == [
        ("other", "55.6 %"),
        ("idle: other", "44.4 %"),
    ]
