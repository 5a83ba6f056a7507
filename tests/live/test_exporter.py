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

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session"),
]

LOADS = {"x64": "cpuid=1009,rdmsr=307,io=83", "arm64": "hypercall=1009,sys64=307,mmio=83"}
SCRAPE = """
import urllib.request
with urllib.request.urlopen("http://127.0.0.1:9991/metrics") as page:
    print(page.read().decode(), end="")
"""
VM = "python3"  # the command that runs it


@attrs.frozen
class Scrapes:
    """What was scraped before the guest ran, when it had done its work and was stopped, and later.

    ``report`` is the VMM's, ``capabilities`` those of each thread of the exporter.
    """

    load: str
    report: dict[str, Any]
    before: Values
    done: Values
    stopped: Values
    after: Values
    capabilities: frozenset[str]


@pytest.fixture(scope="module")
def scrapes(bed: Bed, host: Host) -> Scrapes:
    load = LOADS["arm64" if bed.isa == "arm64" else "x64"]
    with host.start(["kstats", "exporter", "--by", "vcpu", "--time", "--durations=reason"]) as it:
        it.wait_output("msg=listening")
        before = scrape(host)
        with guest(host, "--vcpus", "2", "--cpu", "0,1", "--workload", load) as report:
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
    return Scrapes(load, report, before, done, stopped, after, capabilities)


def scrape(host: Host) -> Values:
    return parsed(host.run(["python3", "-c", SCRAPE]).check().stdout)


def fresh(host: Host) -> Values:
    """Return a page of a sample that the exporter takes from now on: pages are a second old."""
    before = value(scrape(host), "kstats_samples_total")
    while True:
        found = scrape(host)
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


@pytest.mark.parametrize("vcpu", ["0", "1"])
def test_every_exit_of_a_vcpu_is_scraped(bed: Bed, scrapes: Scrapes, vcpu: str) -> None:
    counts = workloads.expected(workloads.parse(scrapes.load), bed.isa, moves=False)
    wanted = Counter({name: n for (_, name), n in counts.items()})
    found = by_reason(scrapes.done, "kvm_vcpu_exits_total", vm=VM, vcpu=vcpu)
    assert certain(found, scrapes.load, bed.isa) == wanted


def test_vms_cpus_and_vcpus_have_the_same_exits(scrapes: Scrapes) -> None:
    def total(metric: str) -> float:
        return sum(n for (name, _), n in scrapes.done.items() if name == metric)

    assert total("kvm_vm_exits_total") == total("kvm_vcpu_exits_total")
    assert total("kvm_vm_exits_total") == total("kvm_cpu_exits_total")
    losses = [n for (name, _), n in scrapes.done.items() if name == "kstats_losses_total"]
    assert losses
    assert not any(losses)


def test_exits_are_timed(bed: Bed, scrapes: Scrapes) -> None:
    """Those before another entry of the same thread, so all but the last of each vCPU."""
    timed = by_reason(scrapes.done, "kvm_vm_exit_duration_seconds_count", vm=VM)
    found = by_reason(scrapes.done, "kvm_vm_exits_total", vm=VM)
    assert set(certain(found, scrapes.load, bed.isa)) <= set(timed)
    assert 0 <= found.total() - timed.total() <= 2


def test_the_time_of_vcpus_has_all_states(scrapes: Scrapes) -> None:
    states = {
        (labels["vcpu"], labels["state"])
        for (name, pairs), _ in scrapes.done.items()
        if name == "kvm_vcpu_time_seconds_total" and (labels := dict(pairs))
    }
    names = ("guest", "kernel", "vmm", "halted", "waiting")
    assert states == {(vcpu, state) for vcpu in "01" for state in names}


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


def test_a_stopped_vm_stays(scrapes: Scrapes) -> None:
    """SIGSTOP, as by a debugger: everything of it is still there."""
    of_vms = {key for key in scrapes.done if key[0].startswith("kvm_v")}
    assert of_vms <= scrapes.stopped.keys()


def test_it_says_how_it_counts(bed: Bed, scrapes: Scrapes) -> None:
    (labels,) = [dict(pairs) for (name, pairs) in scrapes.done if name == "kstats_build_info"]
    assert (labels["isa"], labels["probe"]) == (bed.isa, bed.probe)


def test_no_thread_has_a_capability(scrapes: Scrapes) -> None:
    assert {int(mask, 16) for mask in scrapes.capabilities} == {0}
