"""Folded stacks: what flame graphs are made of."""

from __future__ import annotations

import io

import attrs
import pytest

from kstats.errors import UsageError
from kstats.histogram import Histogram
from kstats.model import Sample
from kstats.render.folded import FoldedRenderer
from kstats.views import View
from kstats.views.exits import ExitsView, Options
from kstats.views.latency import LatencyView
from kstats.views.latency import Options as LatencyOptions
from kstats.views.percpu import PerCpuView
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import placed, sample
from tests.views.hosts import WEB_0, WEB_1, happened, number

STACK = ("vm", "vcpu", "category", "reason")
IO, HLT = ("vmx", 30), ("vmx", 12)


def folded(view: View, *samples: Sample) -> dict[str, float]:
    """Return the weights of stacks as flamegraph.pl splits lines: at the last space."""
    stream = io.StringIO()
    renderer = FoldedRenderer(stream)
    for one in samples:
        renderer.write(view.table(one))
    lines = [line.rpartition(" ") for line in stream.getvalue().splitlines()]
    assert len({stack for stack, _, _ in lines}) == len(lines)
    return {stack: float(weight) for stack, _, weight in lines}


def test_a_stack_is_vm_vcpu_category_and_reason() -> None:
    host = happened({IO: {(0, WEB_0): 7, (1, WEB_0): 1, (1, WEB_1): 5}, HLT: {(0, WEB_0): 3}})
    assert folded(ExitsView(Options(by=STACK)), host) == {
        "web;vcpu 0;io;IO_INSTRUCTION": 8,
        "web;vcpu 1;io;IO_INSTRUCTION": 5,
        "web;vcpu 0;idle;HLT": 3,
    }


def test_a_detail_is_one_more_frame() -> None:
    host = happened({("vmx", 32): {(0, WEB_0, 0x6E0 | 2 << 62): 4}}, detail="msr")
    view = ExitsView(Options(by=(*STACK, "detail"), detail="msr"))
    ((stack, weight),) = folded(view, host).items()
    assert stack.startswith("web;vcpu 0;register;MSR_WRITE;")
    assert stack.endswith("MSR_IA32_TSC_DEADLINE(0x6e0)")
    assert weight == 4


def test_measured_time_is_the_weight() -> None:
    latency = {IO: {(0, WEB_0): Histogram.of([1000, 500])}, HLT: {(0, WEB_0): Histogram.of([70])}}
    exits = placed({IO: {(0, WEB_0): 2}, HLT: {(0, WEB_0): 1}}, latency)
    host = attrs.evolve(happened({}), exits=exits, timed=True)
    stacks = folded(LatencyView(LatencyOptions(by=STACK)), host)
    assert stacks == {"web;vcpu 0;io;IO_INSTRUCTION": 1500, "(idle)": 70}


def test_names_cannot_add_frames_or_lines() -> None:
    vm = Vm(1, 1, Kind.QEMU, "a;b 9\nc;d 1")
    threads = {number(1, 1): Thread(1, 1, 0, vm)}
    host = happened({IO: {(0, number(1, 1)): 2}}, threads)
    ((stack, weight),) = folded(ExitsView(Options(by=("vm", "reason"))), host).items()
    assert (stack.count(";"), weight) == (1, 2)


def test_other_views_are_refused() -> None:
    with pytest.raises(UsageError, match="no stacks"):
        folded(PerCpuView(), sample())
