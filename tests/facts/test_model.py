"""Facts as values and as the mappings that samples have."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats.facts.model import Facts, Flat, HostCounters, HostFacts, Scheduling, VcpuFacts, VmFacts
from kstats.filters import ThreadFilter, filter_threads
from kstats.model import Sample
from kstats.recording.merge import merged
from tests.samples import sample

_KINDS = (HostFacts, HostCounters, VmFacts, VcpuFacts, Scheduling)

_WEB, _DB = 7 << 32 | 8, 9 << 32 | 10


def test_a_mapping_has_the_known_facts_by_name() -> None:
    facts = HostFacts(
        parameters={"kvm.halt_poll_ns": "200000"}, governors={"powersave": 4}, smt=True, swap=0
    )
    assert facts.flat() == {
        "parameters.kvm.halt_poll_ns": "200000",
        "governors.powersave": 4,
        "smt": 1,
        "swap": 0,
    }


@given(
    st.builds(
        HostFacts,
        parameters=st.dictionaries(st.text(min_size=1), st.text()),
        smt=st.none() | st.booleans(),
        thp=st.none() | st.text(),
        memory=st.none() | st.integers(0),
    )
)
def test_a_mapping_becomes_the_same_facts(facts: HostFacts) -> None:
    assert HostFacts.of(facts.flat()) == facts


def test_keys_that_are_numbers_stay_numbers() -> None:
    facts = VmFacts(nodes={0: 4096, 12: 0})
    assert VmFacts.of(facts.flat()) == facts


@pytest.mark.parametrize(
    "flat",
    [
        {"smt": "on"},
        {"thp": 1},
        {"governors": 4},
        {"governors.powersave": "four"},
        {"smt.x": 1},
        {"later": 1, "": 2, ".": 3},
    ],
)
def test_what_is_not_a_fact_is_unknown(flat: Flat) -> None:
    assert HostFacts.of(flat) == HostFacts()
    assert VmFacts.of({"nodes.first": 1, "nodes.": 2}) == VmFacts()


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.sampled_from(_KINDS))
def test_any_mapping_can_be_read(flat: Flat, kind: type[Facts]) -> None:
    assert isinstance(kind.of(flat), kind)


@pytest.mark.parametrize("kind", _KINDS)
def test_every_fact_is_optional_and_documented(kind: type[Facts]) -> None:
    assert kind.of({}) == kind()
    for field in attrs.fields(kind):
        assert f"\n        {field.name}: " in (kind.__doc__ or "")


def facts_of_two_vms() -> Sample:
    """A sample of two VMs, of which facts are known."""
    return attrs.evolve(
        sample(),
        host_facts={"smt": 1},
        vm_facts={7: {"threads": 3}, 9: {"threads": 4}},
        vcpu_facts={_WEB: {"policy": "fifo"}, _DB: {"policy": "other"}},
        host_counters={"cpu": 5},
        scheduling={_WEB: {"ran": 1}, _DB: {"ran": 2}},
    )


def test_a_filter_by_thread_keeps_the_facts_of_its_vm_and_host() -> None:
    (web,) = filter_threads([facts_of_two_vms()], ThreadFilter(pids=frozenset({7})))
    assert (web.host_facts, web.host_counters) == ({"smt": 1}, {"cpu": 5})
    assert web.vm_facts == {7: {"threads": 3}}
    assert web.vcpu_facts == {_WEB: {"policy": "fifo"}}
    assert web.scheduling == {_WEB: {"ran": 1}}


def test_merged_samples_have_the_latest_facts_and_the_sums_of_counters() -> None:
    first = facts_of_two_vms()
    second = attrs.evolve(
        sample(), host_facts={"smt": 0}, host_counters={"cpu": 7}, scheduling={_DB: {"ran": 5}}
    )
    (both,) = merged([first, second], 2.0)
    assert both.host_facts == {"smt": 0}
    assert both.vm_facts == first.vm_facts
    assert both.host_counters == {"cpu": 12}
    assert both.scheduling == {_WEB: {"ran": 1}, _DB: {"ran": 7}}
