"""Findings are ranked, merged over windows, and left out if another one explains them better."""

from __future__ import annotations

import attrs
import pytest

from kstats.model import Sample
from kstats.vms.identity import Kind, Vm
from kstats.why.engine import Judge, Report, judge
from kstats.why.evidence import Evidence
from kstats.why.render import summary, text
from kstats.why.rule import Certainty, Severity
from tests.why.cases import BUSY, busy, facts
from tests.why.made import VM, guest, read, write


def judged(*samples: Sample) -> Report:
    """The report on these windows."""
    judge = Judge()
    for sample in samples:
        judge.add(Evidence.of(sample))
    return judge.report()


def both(one: Sample, other: Sample) -> Sample:
    """The VMs of two samples on one host."""
    return attrs.evolve(
        one, exits={**one.exits, **other.exits}, threads={**one.threads, **other.threads}
    )


def test_the_most_severe_comes_first_then_what_costs_most() -> None:
    other = guest("svm", {"hlt": 20_000, "invalid_guest_state": 1}, vm=Vm(5, 1, Kind.QEMU, "db"))
    rates = {"cpuid": 6000.0, "io": 4000.0, "vintr": 3000.0}
    found = judged(both(guest("svm", rates), other)).findings
    assert [(one.rule.id, str(one.severity), one.subject) for one in found] == [
        ("failed-entries", "critical", "db"),
        ("emulated-ports", "warning", "web"),
        ("short-halts", "warning", "db"),
        ("cpuid-loop", "warning", "web"),
        ("interrupt-windows", "info", "web"),
    ]


def test_a_measured_cost_makes_a_finding_more_severe() -> None:
    severities = {us: judged(guest("vmx", {"CPUID": 3000}, us=us)) for us in (2, 20, 100)}
    assert [str(report.findings[0].severity) for report in severities.values()] == [
        "info",
        "warning",
        "critical",
    ]
    (finding,) = severities[20].findings
    assert finding.cost == pytest.approx(0.06)
    assert finding.measured.timed
    assert "median 20.0us, p99 20.0us, longest 20.0us" in finding.evidence


def test_the_cost_of_some_details_is_their_share_of_the_latency() -> None:
    numbers = {write(0x6E0): 3000.0, read(0xE8): 1000.0}
    sample = guest("vmx", kind="msr", details={"MSR_WRITE": numbers}, us=10)
    (finding,) = judged(sample).findings
    assert finding.rule.id == "timer-storm"
    assert finding.cost == pytest.approx(0.03)


def test_one_vcpu_in_a_loop_is_not_averaged_away() -> None:
    """A sixteenth of the vCPUs does what is far too much for one."""
    calm = guest("vmx", {"HLT": 10}, vcpus=16)
    loop = guest("vmx", {"CPUID": 20_000}, vcpus=1)
    (finding,) = judged(attrs.evolve(calm, exits={**calm.exits, **loop.exits})).findings
    assert finding.rule.id == "cpuid-loop"
    assert finding.measured.value == 20_000
    assert finding.evidence[:2] == (
        "CPUID: 1,250 exits per vCPU-second",
        "on vCPU 0: 20,000 exits per vCPU-second",
    )
    assert finding.cost == pytest.approx(0.0025)


def test_further_evidence_makes_a_finding_certain() -> None:
    polling = guest("svm", {"hlt": 4000}, counters={"halt_poll_fail_ns": 5_000_000_000})
    (alone,) = judged(polling).findings
    assert alone.certainty is Certainty.LIKELY
    (busy_host,) = judged(facts(polling, counters={"cpu_pressure": 5_000_000_000})).findings
    assert busy_host.certainty is Certainty.CERTAIN
    assert busy_host.because == "some thread of the host waits for a CPU 50 % of the time"


def test_settings_are_part_of_the_evidence() -> None:
    storm = guest("svm", kind="msr", details={"msr:wr": {write(0x830): 6000.0}})
    (finding,) = judged(facts(storm, {"parameters.kvm_amd.avic": "N"})).findings
    assert "kvm_amd has avic=N" in finding.evidence
    (finding,) = judged(facts(storm, {"parameters.kvm_amd.avic": "Y"})).findings
    assert not any("avic" in one for one in finding.evidence)


def test_interrupts_of_a_device_are_named() -> None:
    uneven = guest("svm", {"interrupt": 12_000}, cpus=(0, 1, 2, 3), on={0: 97, 1: 1, 2: 1, 3: 1})
    (alone,) = judged(uneven).findings
    assert (alone.rule.id, alone.certainty) == ("interrupts-on-few-cpus", Certainty.LIKELY)
    counted = facts(uneven, counters={"idle": 0})
    devices = {"IRQ 45 nvme0q3": {0: 200_000, 9: 900_000}, "Local timer interrupts": {0: 999_999}}
    (named,) = judged(attrs.evolve(counted, interrupts=devices)).findings
    assert named.certainty is Certainty.CERTAIN
    assert named.because == "IRQ 45 nvme0q3: 20,000 interrupts per second on CPU 0"


def test_windows_are_merged_into_the_worst() -> None:
    calm = guest("vmx", {"HLT": 10})
    times = {0: calm, 10: guest("vmx", {"CPUID": 6000}), 20: guest("vmx", {"CPUID": 60_000})}
    samples = [attrs.evolve(sample, time=1000.0 + at) for at, sample in times.items()]
    report = judged(*samples, attrs.evolve(calm, time=1030.0))
    (finding,) = report.findings
    assert (finding.windows, report.windows) == (2, 4)
    assert finding.severity is Severity.CRITICAL
    assert (finding.begin, finding.end) == (1010.0, 1020.0)
    assert (report.begin, report.end, report.seconds) == (990.0, 1030.0, 40.0)


def test_what_some_window_had_is_checked() -> None:
    """Counters of the host are read less often than exits."""
    without = guest("vmx", {"HLT": 10}, time=BUSY)
    with_facts = facts(without, counters={"steal": 0}, scheduling={"major_faults": 0})
    first, both_ = judged(without), judged(without, with_facts)
    assert "host-steal" in {rule for one in first.unchecked for rule in one.rules}
    assert "host-steal" not in {rule for one in both_.unchecked for rule in one.rules}


def test_the_parts_that_are_missing_say_what_to_measure() -> None:
    report = judge(Evidence.of(guest("vmx", {"MSR_WRITE": 6000})))
    lines = " ".join(text(report, 1000).split())
    assert "not checked without msr details (kstats exits --detail msr --record FILE): " in lines
    assert "not checked without vCPU times (kstats record --time): " in lines
    assert "not checked without latencies" not in lines  # there are no exits to time


def test_nothing_at_all_is_not_unusual() -> None:
    report = Judge().report()
    assert report.worst() is None
    assert summary(report) == "nothing to judge: no VM ran, or none that was selected"
    empty = judged(guest("vmx", {}, time={"halted": 1.0}))
    assert empty.findings == ()


def test_the_host_is_distinguished_from_its_vms() -> None:
    report = judged(facts(guest("svm", {"hlt": 1}), counters={"steal": 8_000_000_000}))
    (finding,) = report.findings
    assert (finding.subject, finding.vm) == ("", None)
    assert "1. critical: host: The host is a VM itself" in text(report)
    waiting = judged(guest("svm", {"hlt": 1}, time=busy(waiting=0.3)))
    assert waiting.findings[0].vm == VM
