"""Timelines of recordings of any length and any number of CPUs keep every exit and the peaks."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from kstats.arch import columns
from kstats.cpulist import MOST_CPUS
from kstats.model import Sample
from kstats.report.timeline import BANDS, BINS, Timeline
from tests.samples import MOMENT
from tests.views.hosts import happened

HLT, EPT = ("vmx", 12), ("vmx", 48)
COLUMNS = [column.key for column in columns("x64")]
IDLE, PAGING = COLUMNS.index("inst_hlt"), COLUMNS.index("ept")


def at(second: float, exits: dict[tuple[str, int], dict[int, int]], elapsed: float = 1.0) -> Sample:
    """Return a sample that ends at this second; exits are by code and CPU."""
    placed = {code: {(cpu, 0): n for cpu, n in row.items()} for code, row in exits.items()}
    return happened(placed, {}, time=MOMENT + second, elapsed=elapsed)


def drawn(samples: Iterator[Sample] | list[Sample]) -> Timeline:
    timeline = Timeline("x64")
    for one in samples:
        timeline.add(one)
    return timeline


def test_a_few_samples_have_a_bin_each() -> None:
    line = drawn([at(1, {HLT: {0: 4}}), at(2, {HLT: {1: 6}, EPT: {1: 2}})])
    assert (line.bins, line.samples_per_bin, line.bands) == (2, 1, 2)
    assert line.rates[:, IDLE].tolist() == [4, 6]
    assert line.rates[:, PAGING].tolist() == [0, 2]
    assert line.highest.tolist() == [4, 8]
    assert line.peaks(IDLE).tolist() == [[4, 0], [0, 6]]
    assert line.peaks(None).tolist() == [[4, 0], [0, 8]]
    assert line.starts.tolist() == [MOMENT, MOMENT + 1]
    assert line.ends.tolist() == [MOMENT + 1, MOMENT + 2]


@pytest.mark.parametrize("count", [BINS, BINS + 1, 3 * BINS, 20_001])
def test_a_long_recording_keeps_sums_means_and_peaks(count: int) -> None:
    chosen = random.Random(count)  # noqa: S311 - any numbers do, but the same each time
    exits = [chosen.randrange(10) for _ in range(count)]
    spike = chosen.randrange(count)
    exits[spike] = 5000
    line = drawn(at(i + 1, {HLT: {i % 3: n}}) for i, n in enumerate(exits))
    assert BINS // 2 < line.bins <= BINS
    each = line.samples_per_bin
    assert (line.bins - 1) * each < count <= line.bins * each
    assert (line.starts[0], line.ends[-1]) == (MOMENT, MOMENT + count)
    assert line.ends[:-1].tolist() == line.starts[1:].tolist()
    assert line.exits.sum() == sum(exits)
    assert line.seconds.sum() == count
    peak = line.peak(None)
    assert (peak.rate, peak.band) == (5000, spike % 3)
    assert abs(peak.time - (MOMENT + spike + 0.5)) <= each / 2
    assert line.highest.max() == 5000
    assert line.rates[0, IDLE] == pytest.approx(np.mean(exits[:each]))
    drawn_peaks = line.spread(None, 256)
    part = int(drawn_peaks[:, spike % 3].argmax())
    assert drawn_peaks.max() == 5000
    assert abs(part / 256 - spike / count) < 1 / 64


@pytest.mark.parametrize("cpus", [BANDS, BANDS + 1, 3 * BANDS])
def test_many_cpus_share_bands_and_the_busiest_shows(cpus: int) -> None:
    busy = cpus - 2
    row = dict.fromkeys(range(cpus), 1) | {busy: 900}
    line = drawn([at(1, {HLT: {0: 3}}), at(2, {HLT: row})])
    assert line.bands <= BANDS
    assert line.peak(None).band == busy // line.cpus_per_band
    assert line.peak(IDLE).rate == 900
    assert line.exits.sum() == 3 + cpus - 1 + 900


def test_a_huge_cpu_number_takes_no_memory() -> None:
    line = drawn([at(1, {HLT: {1 << 60: 7}})])
    assert line.exits.sum() == 7
    assert line.cpus_per_band * BANDS <= MOST_CPUS


def test_a_time_without_samples_is_not_zero() -> None:
    line = drawn([at(1, {HLT: {0: 4}}), at(4, {HLT: {0: 8}})])
    assert (line.ends[0], line.starts[1]) == (MOMENT + 1, MOMENT + 3)
    assert line.rates[:, IDLE].tolist() == [4, 8]
    assert line.spread(None, 8)[:, 0].tolist() == [4, 4, 0, 0, 0, 0, 8, 8]


def test_late_samples_keep_their_length() -> None:
    """The first sample of a recording is often late; this makes neither a gap nor an edge."""
    line = drawn([at(1.7, {HLT: {0: 17}}, 1.7), at(2.7, {HLT: {0: 1}}), at(3.72, {}, 1.02)])
    assert (line.starts - MOMENT).tolist() == pytest.approx([0, 1.7, 2.7])
    assert line.rates[:, IDLE].tolist() == pytest.approx([10, 1, 0])


@pytest.mark.parametrize(("second", "back"), [(-1e9, 1e9 + 2), (0.0, 2), (1.9, 0), (1e9, 0)])
def test_setting_the_clock_loses_no_exits(second: float, back: float) -> None:
    """If the clock is set back, time continues; if forward, there is a time without samples."""
    line = drawn([at(1, {HLT: {0: 1}}), at(second, {HLT: {0: 2}}), at(second + 1, {HLT: {0: 4}})])
    assert line.exits.sum() == 7
    assert line.set_back == pytest.approx(back)
    assert line.bins == 3
    assert (line.starts <= line.ends).all()
    assert (line.starts[1:] >= line.ends[:-1]).all()
    assert line.seconds.tolist() == [1, 1, 1]


def test_samples_of_zero_seconds_are_counted() -> None:
    line = drawn([at(1, {HLT: {0: 1}}, elapsed=0.0), at(1, {HLT: {0: 2}}, elapsed=0.0)])
    assert line.exits.sum() == 3
    assert np.isnan(line.rates).all()


def test_exits_without_a_column_or_a_backend_are_other() -> None:
    line = Timeline("nowhere")
    line.add(at(1, {HLT: {0: 4}, ("nowhere", 3): {0: 5}}))
    assert [column.key for column in line.columns] == ["other"]
    assert line.exits.tolist() == [[9]]
