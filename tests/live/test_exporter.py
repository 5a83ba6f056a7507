"""``kstats exporter`` in emulated KVM hosts: what is scraped there is what the guest did."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from tests.exporter.running import Values, parsed, value
from tests.live.conftest import Bed, beds
from tests.live.guests import guest

pytestmark = pytest.mark.host
in_both = pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session")

LOADS = {"x64": "cpuid=1009,rdmsr=307,io=83", "arm64": "hypercall=1009,sys64=307,mmio=83"}
KEPT = {"x64": ("io_exits", "io"), "arm64": ("hvc_exit_stat", "HVC64")}
"""A counter of KVM's own, and the reason of the exits that it counts."""

COUNTED, KERNEL = "9991", "9992"
SCRAPE = """
import sys, urllib.request
with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics") as page:
    print(page.read().decode(), end="")
"""
EXPORTER = ("kstats", "exporter", "--by", "vcpu")
VM = "python3"  # the command that runs it


@attrs.frozen
class Scrapes:
    """What was scraped before the guest ran, when it had done its work and was stopped, and later.

    ``kernel`` was scraped from an exporter of KVM's own counters when the guest had done its work.
    ``report`` is the VMM's, ``capabilities`` those of each thread of the exporter.
    """

    load: str
    report: dict[str, Any]
    before: Values
    done: Values
    stopped: Values
    after: Values
    kernel: Values
    capabilities: frozenset[str]


@pytest.fixture(scope="module")
def scrapes(bed: Bed, host: Host) -> Scrapes:
    load = LOADS[machine(bed)]
    kernel = ["--source", "kernel", "--web.listen-address", f"127.0.0.1:{KERNEL}"]
    with (
        host.start([*EXPORTER, "--time", "--durations=reason"]) as it,
        host.start([*EXPORTER, *kernel]) as other,
    ):
        it.wait_output("msg=listening")
        other.wait_output("msg=listening")
        before = scrape(host)
        with guest(host, "--stats", "--vcpus", "2", "--cpu", "0,1", "--workload", load) as report:
            kept = fresh(host, KERNEL)
            done = fresh(host)
            pid = report["vms"][0]["pid"]
            host.run(f"kill -STOP {pid}").check()
            stopped = fresh(host)
            host.run(f"kill -CONT {pid}").check()
        after = fresh(host)
        status = host.run(f"cat /proc/{it.pid}/task/*/status").check().stdout
        capabilities = frozenset(
            line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapPrm"))
        )
        it.signal(signal.SIGTERM)
        assert it.wait().status == 0
    return Scrapes(load, report, before, done, stopped, after, kept, capabilities)


def machine(bed: Bed) -> str:
    return "arm64" if bed.isa == "arm64" else "x64"


def scrape(host: Host, port: str = COUNTED) -> Values:
    return parsed(host.run(["python3", "-c", SCRAPE, port]).check().stdout)


def fresh(host: Host, port: str = COUNTED) -> Values:
    """Return a page of a sample that the exporter takes from now on: pages are a second old."""
    before = value(scrape(host, port), "kstats_samples_total")
    while True:
        found = scrape(host, port)
        if value(found, "kstats_samples_total") > before:
            return found


def by_reason(found: Values, metric: str, **labels: str) -> Counter[str]:
    """Return the values of a metric by the kernel's reason, of the series with these labels."""
    counts: Counter[str] = Counter()
    for (name, pairs), n in found.items():
        has = dict(pairs)
        if name == metric and labels.items() <= has.items():
            counts[has["reason"].partition(":")[0]] += int(n)
    return counts


def certain(counts: Counter[str], load: str, isa: str) -> Counter[str]:
    """Return the counts without the exits that may occur at any time."""
    vague = {exit_.name for exit_ in workloads.inexact(workloads.parse(load), isa)}
    return Counter({name: n for name, n in counts.items() if name not in vague and n})


@in_both
@pytest.mark.parametrize("vcpu", ["0", "1"])
def test_every_exit_of_a_vcpu_is_scraped(bed: Bed, scrapes: Scrapes, vcpu: str) -> None:
    counts = workloads.expected(workloads.parse(scrapes.load), bed.isa, moves=False)
    wanted = Counter({name: n for (_, name), n in counts.items()})
    found = by_reason(scrapes.done, "kvm_vcpu_exits_total", vm=VM, vcpu=vcpu)
    assert certain(found, scrapes.load, bed.isa) == wanted


@in_both
def test_vms_cpus_and_vcpus_have_the_same_exits(scrapes: Scrapes) -> None:
    def total(metric: str) -> float:
        return sum(n for (name, _), n in scrapes.done.items() if name == metric)

    assert total("kvm_vm_exits_total") == total("kvm_vcpu_exits_total")
    assert total("kvm_vm_exits_total") == total("kvm_cpu_exits_total")
    losses = [n for (name, _), n in scrapes.done.items() if name == "kstats_losses_total"]
    assert losses
    assert not any(losses)


@in_both
def test_exits_are_timed(bed: Bed, scrapes: Scrapes) -> None:
    """Those before another entry of the same thread, so all but the last of each vCPU."""
    timed = by_reason(scrapes.done, "kvm_vm_exit_duration_seconds_count", vm=VM)
    found = by_reason(scrapes.done, "kvm_vm_exits_total", vm=VM)
    assert set(certain(found, scrapes.load, bed.isa)) <= set(timed)
    assert 0 <= found.total() - timed.total() <= 2


@in_both
def test_the_time_of_vcpus_has_all_states(scrapes: Scrapes) -> None:
    states = {
        (labels["vcpu"], labels["state"])
        for (name, pairs), _ in scrapes.done.items()
        if name == "kvm_vcpu_time_seconds_total" and (labels := dict(pairs))
    }
    names = ("guest", "kernel", "vmm", "halted", "waiting")
    assert states == {(vcpu, state) for vcpu in "01" for state in names}


@in_both
def test_a_vm_is_described_while_it_runs_and_its_counts_stay(scrapes: Scrapes) -> None:
    pid = str(scrapes.report["vms"][0]["pid"])

    def described(found: Values) -> set[str]:
        return {dict(pairs)["pid"] for (name, pairs) in found if name == "kvm_vm_info"}

    assert [described(f) for f in (scrapes.before, scrapes.done, scrapes.after)] == [
        *(set(), {pid}),
        set(),
    ]
    assert value(scrapes.done, "kvm_vm_vcpus", vm=VM) == 2
    done = by_reason(scrapes.done, "kvm_vm_exits_total", vm=VM)
    after = by_reason(scrapes.after, "kvm_vm_exits_total", vm=VM)
    assert all(after[name] >= n for name, n in done.items())


@in_both
@pytest.mark.parametrize("vcpu", ["0", "1"])
def test_kvms_own_counters_are_scraped(bed: Bed, scrapes: Scrapes, vcpu: str) -> None:
    event, reason = KEPT[machine(bed)]
    labels = {"vm": VM, "event": event}
    counted = by_reason(scrapes.done, "kvm_vcpu_exits_total", vm=VM, vcpu=vcpu)[reason]
    assert counted >= 83
    assert value(scrapes.kernel, "kvm_vcpu_kernel_events_total", vcpu=vcpu, **labels) == counted
    both = by_reason(scrapes.done, "kvm_vm_exits_total", vm=VM)[reason]
    assert value(scrapes.kernel, "kvm_vm_kernel_events_total", **labels) == both


@in_both
def test_a_stopped_vm_stays(scrapes: Scrapes) -> None:
    """SIGSTOP, as by a debugger: everything of it is still there."""
    of_vms = {key for key in scrapes.done if key[0].startswith("kvm_v")}
    assert of_vms <= scrapes.stopped.keys()


@in_both
def test_it_says_how_it_counts(bed: Bed, scrapes: Scrapes) -> None:
    (labels,) = [dict(pairs) for (name, pairs) in scrapes.done if name == "kstats_build_info"]
    assert (labels["isa"], labels["probe"]) == (bed.isa, bed.probe)


@in_both
def test_no_thread_has_a_capability(scrapes: Scrapes) -> None:
    assert {int(mask, 16) for mask in scrapes.capabilities} == {0}


@pytest.mark.parametrize("bed", beds("svm"), indirect=True, scope="session")
def test_kvm_comes_later_and_its_vendor_module_is_reloaded(bed: Bed, host: Host) -> None:
    """The exporter stays up, and nothing is missing."""
    assert bed.isa == "svm"
    host.run("rmmod kvm_amd kvm").check()
    with host.start(EXPORTER) as command:
        command.wait_output("msg=listening")
        assert 'reason="KVM is not loaded"' in command.stderr
        found = scrape(host)
        assert value(found, "kstats_up") == 0
        host.run("modprobe kvm_amd").check()
        command.wait_output("msg=counting")
        with guest(host, "--cpu", "1", "--workload", "cpuid=500"):
            assert total(fresh(host), "cpuid") == 500
        host.run("rmmod kvm_amd").check()
        assert value(fresh(host), "kstats_up") == 1
        command.wait_output("kvm_amd was unloaded")
        host.run("modprobe kvm_amd").check()
        with guest(host, "--cpu", "1", "--workload", "cpuid=300"):
            assert total(fresh(host), "cpuid") == 800  # the VM of the same name continues
        command.signal(signal.SIGTERM)
        assert command.wait().status == 0


def total(found: Values, reason: str) -> int:
    return by_reason(found, "kvm_vm_exits_total", vm=VM)[reason]
