"""What ``kstats why`` finds in a host with VMs that are slow in known ways, and with healthy ones.

The clock of the host counts instructions: rates and shares of time do not depend on how busy this
machine is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from tests.live.conftest import beds
from tests.live.inside import fleet_of_guests

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm-paced"), indirect=True, scope="session"),
]

INSIDE = "/run/fleet_of_guests.py"
PAUSE = "sleep@200000=1"  # milliseconds without exits, until the next lap


@attrs.frozen
class Guest:
    """A guest that does the same again and again.

    Attributes:
        options: Of the VMM.
        found: The rules that must fire.
        nice: Its nice value.
        quota: The CPU time that it may use, as in ``cpu.max``; empty for all.
    """

    options: tuple[str, ...]
    found: tuple[str, ...] = ()
    nice: int = 0
    quota: str = ""

    @classmethod
    def doing(cls, work: str, *found: str) -> Guest:
        """Return a guest that does some work five times a second."""
        return cls(("--workload", f"{work},{PAUSE}"), found)


SLOW: Mapping[str, Guest] = {
    "cpuid": Guest.doing("cpuid=1500", "cpuid-loop"),
    "timer": Guest.doing("wrmsr@0x838=1500", "timer-storm"),  # X2APIC_TMICT
    "ipis": Guest.doing("wrmsr@0x830=1500", "ipi-storm"),  # X2APIC_ICR
    "memory": Guest.doing("page=500", "memory-faults"),
    "faults": Guest.doing("ud=500,wbinvd=10", "exceptions", "cache-flushes"),
    "vmm": Guest(
        ("--delay", "3000", "--workload", f"io=20,{PAUSE}"), ("slow-vmm", "slow-device-exits")
    ),
    "starved": Guest(("--vcpus", "2", "--workload", "spin=20000"), ("vcpu-starved",), nice=19),
    "limited": Guest(("--workload", "spin=2000"), ("cpu-quota",), quota="10000 100000"),
}

HEALTHY: Mapping[str, Guest] = {
    "idle": Guest(("--workload", "sleep@1000000=1000")),
    # At work for much of the time. It comes before kstats, which needs the only CPU, too.
    "busy": Guest(("--workload", ",".join(["spin=500,sleep@2000=1"] * 20)), nice=-19),
}


@contextmanager
def running(host: Host, guests: Mapping[str, Guest]) -> Iterator[dict[str, int]]:
    """Run guests; yield the process IDs of their VMs by name."""
    made = [
        {"options": guest.options, "nice": guest.nice, "quota": guest.quota}
        for guest in guests.values()
    ]
    host.put(INSIDE, Path(fleet_of_guests.__file__).read_bytes())
    with host.start(["python3", INSIDE, json.dumps(made)]) as fleet:
        fleet.wait_output("\n")
        pids = [vm["pid"] for vm in json.loads(fleet.stdout)]
        yield dict(zip(guests, pids, strict=True))


def rules(report: Mapping[str, Any], pid: int | None) -> set[str]:
    """Return the rules that fired for a VM, or for the host."""
    return {one["rule"] for one in report["findings"] if one["pid"] == pid}


@attrs.frozen
class Answer:
    """What ``kstats why`` answered: its report and exit status, and the pids of the VMs."""

    report: dict[str, Any]
    status: int
    pids: Mapping[str, int]

    def of(self, name: str) -> set[str]:
        """Return the rules that fired for a VM."""
        return rules(self.report, self.pids[name])


def ask(host: Host, guests: Mapping[str, Guest], words: Sequence[str]) -> Answer:
    """Ask why guests are slow."""
    with running(host, guests) as pids:
        done = host.run(["kstats", "why", "-f", "json", *words])
    return Answer(json.loads(done.stdout), done.status, pids)


@pytest.fixture(scope="module")
def slow(host: Host) -> Answer:
    """Return the answer about VMs that are slow."""
    return ask(host, SLOW, ["--fail-on", "warning", "5"])


@pytest.fixture(scope="module")
def healthy(host: Host) -> Answer:
    """Return the answer about VMs that are not."""
    return ask(host, HEALTHY, ["--fail-on", "info", "5"])


@pytest.mark.parametrize("name", SLOW)
def test_the_cause_is_found(slow: Answer, name: str) -> None:
    assert set(SLOW[name].found) <= slow.of(name)


@pytest.mark.parametrize("name", SLOW)
def test_the_cause_is_not_found_elsewhere(slow: Answer, name: str) -> None:
    """Except that all VMs wait for the only CPU."""
    others = {rule for guest in SLOW.values() for rule in guest.found} - {"vcpu-starved"}
    assert not (others - set(SLOW[name].found)) & slow.of(name)


def test_findings_have_numbers_and_an_exit_status(slow: Answer) -> None:
    assert slow.status == 10
    (quota,) = (one for one in slow.report["findings"] if one["rule"] == "cpu-quota")
    assert quota["severity"] == "critical"
    assert quota["certainty"] == "certain"
    assert 0.5 < quota["cost"] <= 0.9 + 0.1  # it may run for a tenth of the time
    assert quota["evidence"]


def test_nothing_is_found_in_healthy_vms(healthy: Answer) -> None:
    assert (healthy.report["findings"], healthy.status) == ([], 0)
    assert len(healthy.report["vms"]) == len(HEALTHY)
