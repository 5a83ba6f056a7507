"""Any samples at all, with every field; and what is the same about two."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from kstats.histogram import Histogram
from kstats.model import MOST_CPUS, Exits, Place, Sample, SlowExit, VcpuTime
from kstats.recording import Clock, Header, Machine
from kstats.topology import CpuTopology
from kstats.vms.identity import Kind, Thread, Vcpu, Vm
from tests.samples import SAMPLES

HEADER = Header("x64", Clock(1.5, 2.5), Machine(name="web", cpus=2), interval=1.0)

_NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, (1 << 64) - 1))
_CPUS = st.integers(0, 3) | st.integers(-1, MOST_CPUS - 1)
_PLACES = st.builds(
    Place,
    st.integers(0, 2),
    st.sampled_from((0, 5 << 32 | 6, (1 << 64) - 1)),
    st.none(),
    st.none(),
)
# As from another process: any bytes, which may be no text.
_NAMES = st.binary(max_size=6).map(lambda name: name.decode(errors="surrogateescape"))
_VMS = st.builds(
    Vm, _NUMBERS, st.none() | _NUMBERS, st.sampled_from(Kind), _NAMES, st.none() | _NUMBERS
)
_THREADS = st.builds(Thread, _NUMBERS, _NUMBERS, st.none() | _NUMBERS, _VMS)
_CODES = st.tuples(st.sampled_from(("vmx", "arm64")), st.integers(0, 2))
_DETAILED = st.builds(
    Place,
    st.integers(-1, 2),
    st.sampled_from((0, 5 << 32 | 6)),
    st.none() | _NUMBERS,
    st.none() | _NUMBERS,
)
_HISTOGRAMS = st.lists(st.integers(0, 1 << 40), max_size=4).map(Histogram.of)
_SPENT = st.builds(VcpuTime, *[_NUMBERS] * 4, st.none() | _NUMBERS)

_SLOW = st.builds(SlowExit, st.floats(0, 4e9), _CODES, _PLACES, _NUMBERS)
_FACTS = st.dictionaries(st.text(max_size=3), st.text(max_size=3) | _NUMBERS, max_size=3)


def _few(keys: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(keys, values, max_size=3)


EXTRAS = st.fixed_dictionaries(
    {
        "topology": _few(_CPUS, st.builds(CpuTopology, *[st.integers(-1, 300)] * 4)),
        "threads": _few(_NUMBERS, _THREADS),
        "ended": st.frozensets(_NUMBERS, max_size=2),
        "isa": st.sampled_from(("", "vmx")),
        "events": _few(st.text(max_size=3), _few(_PLACES, _NUMBERS)),
        "counters": st.none()
        | _few(st.builds(Vcpu, *[_NUMBERS] * 4), _few(st.text(max_size=3), _NUMBERS)),
        "exits": _few(_CODES, _few(_DETAILED, st.builds(Exits, _NUMBERS, st.none() | _HISTOGRAMS))),
        "detail": st.sampled_from(("", "msr", "io")),
        "handled": st.booleans(),
        "timed": st.booleans(),
        "latency_dropped": _NUMBERS,
        "names_dropped": _NUMBERS,
        "slow": st.lists(_SLOW, max_size=2).map(tuple),
        "slow_dropped": _NUMBERS,
        "time_dropped": _NUMBERS,
        "host_facts": _FACTS,
        "vm_facts": _few(_NUMBERS, _FACTS),
        "vcpu_facts": _few(_NUMBERS, _FACTS),
        "host_counters": _few(st.text(max_size=3), _NUMBERS),
        "vm_counters": _few(_NUMBERS, _few(st.text(max_size=3), _NUMBERS)),
        "vm_dropped": _few(_NUMBERS, _few(st.text(max_size=3), _NUMBERS)),
        "interrupts": _few(st.text(max_size=3), _few(_CPUS, _NUMBERS)),
        "scheduling": st.none() | _few(_NUMBERS, _few(st.text(max_size=3), _NUMBERS)),
        "vcpu_time": st.none() | _few(_NUMBERS, _SPENT),
    }
)

ANY = st.builds(lambda sample, extras: attrs.evolve(sample, **extras), SAMPLES, EXTRAS)
"""Samples with anything in every field."""


def fields(sample: Sample) -> dict[str, Any]:
    """Everything in a sample, to be compared."""
    return attrs.asdict(sample, recurse=False)
