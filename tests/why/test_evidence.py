"""Sums by VM: every exit of a sample is in exactly one of them, and in that of the host."""

from __future__ import annotations

from collections import Counter

import attrs
from hypothesis import given
from hypothesis import strategies as st

from kstats.model import Exits, Place, Sample
from kstats.vms.identity import Kind, Vcpu, Vm
from kstats.why.engine import judge
from kstats.why.evidence import SHORTEST, Evidence
from kstats.why.render import as_json, markdown, text
from tests.recording.samples import ANY
from tests.why.made import VM, guest, thread, write

OTHER = Vm(5000, 1, Kind.QEMU, "db")


def exits(sample: Sample) -> Counter[tuple[str, int]]:
    """The exits of a sample by code."""
    return Counter({code: sum(e.count for e in at.values()) for code, at in sample.exits.items()})


HOST_FACTS = (
    *("parameters.kvm.halt_poll_ns", "parameters.kvm_intel.ple_gap", "parameters.kvm_amd.avic"),
    *("governors.powersave", "smt", "clocksource", "isolated", "thp", "ksm", "numa_balancing"),
)
VM_FACTS = ("resident", "swapped", "hugetlb", "huge", "guest_pages.4k", "vhost", "migrating")
COUNTED = (
    *("observed", "cpu", "steal", "memory_pressure", "swapped_in", "numa_faults"),
    *("delayed", "throttled", "major_faults", "halt_poll_fail_ns", "halt_attempted_poll"),
)
VALUES = st.integers(0, 1 << 64) | st.text(max_size=9) | st.sampled_from(("0", "Y", "0-3,8", ""))
NUMBERS = st.dictionaries(st.sampled_from(COUNTED), st.integers(0, 1 << 64))


@st.composite
def with_facts(draw: st.DrawFn) -> Sample:
    """Any sample, with any facts and counters about its host, VMs and threads."""
    sample = draw(ANY)
    made: Sample = attrs.evolve(
        sample,
        host_facts=draw(st.dictionaries(st.sampled_from(HOST_FACTS), VALUES)),
        vm_facts={
            thread.vm.pid: draw(st.dictionaries(st.sampled_from(VM_FACTS), VALUES))
            for thread in sample.threads.values()
        },
        vcpu_facts={number: {"cpus": draw(st.text("0123456789-,"))} for number in sample.threads},
        host_counters=draw(NUMBERS),
        vm_counters={thread.vm.pid: draw(NUMBERS) for thread in sample.threads.values()},
        scheduling={number: draw(NUMBERS) for number in sample.threads},
        interrupts={"IRQ 4 \x1b[2J": {0: draw(st.integers(0, 1 << 64))}},
    )
    return made


@given(with_facts())
def test_no_exit_is_lost_and_any_sample_can_be_judged(sample: Sample) -> None:
    evidence = Evidence.of(sample)
    of_vms: Counter[tuple[str, int]] = Counter()
    for vm in evidence.vms:
        of_vms.update(vm.exits)
    assert of_vms == exits(sample) == evidence.host.exits
    report = judge(evidence)
    assert all(render(report) for render in (text, as_json, markdown))
    assert "\x1b" not in text(report) + markdown(report)


def test_vms_with_the_same_name_are_distinguished() -> None:
    one, other = guest("svm", {"hlt": 10}), guest("svm", {"hlt": 20}, vm=attrs.evolve(OTHER))
    merged = {code: {**one.exits[code], **other.exits[code]} for code in one.exits}
    both = attrs.evolve(one, exits=merged, threads={**one.threads, **other.threads})
    found = {vm.name: sum(vm.exits.values()) for vm in Evidence.of(both).vms}
    assert found == {"db": 400, "web": 200}
    twin = attrs.evolve(OTHER, name="web")
    threads = {
        number: attrs.evolve(of, vm=twin) if of.vm == OTHER else of
        for number, of in both.threads.items()
    }
    names = {vm.name for vm in Evidence.of(attrs.evolve(both, threads=threads)).vms}
    assert names == {"web(4000)", "web(5000)"}


def test_exits_without_a_known_thread_are_of_no_vm() -> None:
    known = guest("svm", {"hlt": 10})
    places = {**known.exits["svm", 0x78], Place(0, 0): Exits(5)}
    found = Evidence.of(attrs.evolve(known, exits={("svm", 0x78): places}))
    assert [(vm.name, vm.vm) for vm in found.vms] == [("web", VM), ("unknown threads", None)]
    by_cpu = attrs.evolve(known, exits={("svm", 0x78): {Place(0, 0): Exits(5)}}, threads={})
    assert [vm.name for vm in Evidence.of(by_cpu).vms] == ["all VMs"]


def test_details_have_a_time_of_their_own() -> None:
    first = guest("vmx", {"MSR_WRITE": 6000}, seconds=6)
    kind = guest("vmx", kind="msr", details={"MSR_WRITE": {write(0x830): 3000}}, seconds=4)
    (vm,) = Evidence.of(first, details=[kind]).vms
    counted = vm.details["msr"]
    assert sum(counted.exits.values()) / counted.vcpu_seconds == 3000
    assert sum(vm.exits.values()) / vm.vcpu_seconds == 6000


def test_counters_are_of_the_vm_of_their_process() -> None:
    """Those of vCPUs, as ``kstats vcpu --source kernel`` records them, serve as well."""
    (vm,) = Evidence.of(guest("vmx", {"HLT": 1}, counters={"signal_exits": 7})).vms
    assert vm.counters == {"signal_exits": 7, "observed": 10_000_000_000}
    of_vcpus = {Vcpu(VM.pid, vcpu, 1, vcpu): {"signal_exits": 7} for vcpu in range(2)}
    sample = attrs.evolve(guest("vmx", {"HLT": 1}), counters=of_vcpus)
    (vm,) = Evidence.of(sample).vms
    assert vm.counters == {"signal_exits": 14, "observed": 10_000_000_000}


def test_a_moment_has_no_rates() -> None:
    (vm,) = Evidence.of(guest("vmx", {"HLT": 1000}, seconds=SHORTEST / 2)).vms
    assert (vm.vcpu_seconds, vm.rates) == (0, {})


def test_vcpus_have_their_own_times() -> None:
    sample = guest("vmx", {"HLT": 10}, time={"guest": 0.5, "halted": 0.5}, vcpus=3)
    (vm,) = Evidence.of(sample).vms
    assert vm.vcpu_time is not None
    assert vm.vcpu_time.keys() == {0, 1, 2} == vm.vcpu_exits.keys()
    assert thread(2) in sample.threads
