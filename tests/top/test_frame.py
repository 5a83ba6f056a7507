"""Frames sum up samples as the views do, which are another implementation."""

from __future__ import annotations

from collections import Counter

import pytest

from kstats.filters import ThreadFilter, filter_threads
from kstats.model import Sample
from kstats.top.frame import Frame, Scope, reason
from kstats.top.state import by_vm
from kstats.views.exits import count_by, names_of
from kstats.views.latency import Measured
from tests.top.golden import recorded
from tests.top.hosts import large_host, measured_host

SAMPLES = [*recorded("svm")[:3], *recorded("arm64")[:3], large_host(), measured_host()]


@pytest.mark.parametrize("sample", SAMPLES)
def test_sums_are_those_of_the_views(sample: Sample) -> None:
    frame = Frame.of(sample)
    counts = count_by(sample, ("reason",))
    assert frame.total == sum(counts.values()) > 0
    assert Counter({reason(c).name: s.count for c, s in frame.codes.items()}) == Counter(
        {name: n for (name,), n in counts.items()}
    )
    by_cpu = {cpu: sum(of.values()) for cpu, of in frame.cpus.items() if of}
    assert by_cpu == {cpu: n for (cpu,), n in count_by(sample, ("cpu",)).items()}
    rates = by_vm(frame)
    names = names_of(vm for vm in rates if vm)
    vms = {names[vm]: round(rate * sample.elapsed) for vm, rate in rates.items() if vm}
    assert vms == {vm: n for (vm,), n in count_by(sample, ("vm",)).items()}


@pytest.mark.parametrize("sample", SAMPLES[:1] + SAMPLES[-1:])
def test_a_scope_selects_what_filters_select(sample: Sample) -> None:
    for number, thread in sample.threads.items():
        wanted = ThreadFilter(tids=frozenset({thread.tid}))
        (expected,) = filter_threads([sample], wanted)
        frame = Frame.of(sample, Scope(thread=number))
        assert frame.total == sum(count_by(expected, ("reason",)).values())
    (cpu, *_) = sample.cpus
    assert Frame.of(sample, Scope(cpu=cpu)).total == count_by(sample, ("cpu",))[(cpu,)]


def test_parts_add_up_to_the_whole() -> None:
    sample = large_host()
    whole = Frame.of(sample).total
    assert sum(Frame.of(sample, Scope(code=code)).total for code in sample.exits) == whole
    vms = {thread.vm for thread in sample.threads.values()}
    assert sum(Frame.of(sample, Scope(vm=vm)).total for vm in vms) == whole


def test_dropped_codes_are_exits_without_a_thread() -> None:
    sample = Sample("x64", 1.0, 1.0, (0, 1), {}, {}, code_dropped={0: 2, 1: 3})
    frame = Frame.of(sample)
    assert frame.total == 5
    assert [reason(code).name for code in frame.codes] == ["?"]
    assert frame.threads.keys() == {0}
    assert Frame.of(sample, Scope(cpu=1)).total == 3
    assert Frame.of(sample, Scope(thread=7)).total == 0


def test_latencies_and_details() -> None:
    sample = measured_host()
    frame = Frame.of(sample)
    of_views = Measured.of(sample, ("reason",)).idle.latency
    (idle,) = (s.latency for s in frame.codes.values() if s.latency)
    assert of_views is not None
    assert idle == of_views
    (details,) = frame.details.values()
    assert sorted(sums.count for sums in details.values()) == [10, 30]
