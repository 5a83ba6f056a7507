"""Readings of facts as fields of samples, on a clock of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from kstats.facts.reader import FactReader
from kstats.model import Sample
from kstats.vms.identity import Kind, Thread, Vm
from tests.facts.test_vm import PROCESS, VCPU, WEB, vcpu
from tests.samples import sample
from tests.trees import recorded

SECOND = 1_000_000_000


class Host:
    """A host below ``root`` with a VM, and a reader of its facts every 10 and 100 seconds."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.now = 5 * SECOND
        self.threads = {VCPU: Thread(101, WEB, 0, Vm(WEB, 1, Kind.QEMU, "web"))}
        self.write(PROCESS | vcpu())
        self.write({"proc/loadavg": "0 0 0 1/2 3", "proc/vmstat": "pswpin 100\n"})
        host = recorded(root, {})
        clock = lambda: self.now  # noqa: E731
        self._reader = FactReader(
            host, counters_every=10, facts_every=100, interrupts=True, clock=clock
        )

    def write(self, files: dict[str, str]) -> None:
        """Write files."""
        recorded(self._root, files)

    def sample(self, seconds: float = 0) -> Sample:
        """Return a sample with what is read some seconds later."""
        self.now += round(seconds * SECOND)
        fields: dict[str, Any] = self._reader.fields(self.threads)
        return attrs.evolve(sample(), **fields)


def test_counters_count_from_the_reading_before(tmp_path: Path) -> None:
    host = Host(tmp_path)
    first = host.sample()
    assert (first.host_counters, first.scheduling) == ({}, None)
    host.write({"proc/vmstat": "pswpin 107\n", f"proc/{WEB}/task/101/schedstat": "9000 350 1"})
    second = host.sample(2)
    assert second.host_counters == {"observed": 2 * SECOND, "swapped_in": 7}
    assert second.scheduling == {
        VCPU: {
            "observed": 2 * SECOND,
            "ran": 2000,
            "delayed": 50,
            "minor_faults": 0,
            "major_faults": 0,
        }
    }


def test_kvm_counters_and_interrupts_are_differences_too(tmp_path: Path) -> None:
    host = Host(tmp_path)
    folder = "sys/kernel/debug/kvm/100-9"
    host.write({f"{folder}/halt_wakeup": "5\n", f"{folder}/exits": "9\n"})
    host.write({"proc/interrupts": "CPU0 CPU1\n 9: 1 2 x 3-edge disk\n"})
    host.sample()
    host.write({f"{folder}/halt_wakeup": "8\n"})
    host.write({"proc/interrupts": "CPU0 CPU1\n 9: 1 5 x 3-edge disk\n"})
    found = host.sample(1)
    assert found.vm_counters == {WEB: {"observed": SECOND, "halt_wakeup": 3}}
    assert found.interrupts == {"IRQ 9 disk": {1: 3}}


def test_a_long_session_reads_counters_now_and_then(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.sample()
    found = [host.sample(1).host_counters.get("observed", 0) // SECOND for _ in range(22)]
    assert found == [1, *[0] * 9, 10, *[0] * 9, 10, 0]


def test_facts_stay_in_every_sample_and_are_read_again(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write({"proc/loadavg": "0 0 0 1/2 3"})
    assert host.sample().host_facts["runnable"] == 1
    host.write({"proc/loadavg": "0 0 0 9/2 3"})
    assert [host.sample(10).host_facts["runnable"] for _ in range(10)] == [*[1] * 9, 9]
    assert host.sample().vcpu_facts[VCPU]["policy"] == "fifo"


def test_what_was_known_stays_known_without_the_right_to_read_it_again(tmp_path: Path) -> None:
    host = Host(tmp_path)
    first = host.sample().vm_facts[WEB]
    (tmp_path / f"proc/{WEB}/smaps_rollup").unlink()
    host.write({f"proc/{WEB}/status": "VmSwap: 7 kB\n"})
    later = host.sample(100).vm_facts[WEB]
    assert later == {**first, "swapped": 7 << 10}


def test_new_vms_are_read_early_and_ended_ones_forgotten(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.sample()
    host.sample(1)
    other = 300 << 32 | 301
    files = {path.replace(f"/{WEB}/", "/300/"): text for path, text in (PROCESS | vcpu()).items()}
    host.write({path.replace("/101/", "/301/"): text for path, text in files.items()})
    host.threads = {other: Thread(301, 300, 0, Vm(300, 1, Kind.QEMU, "db"))}
    found = host.sample(10)
    assert (set(found.vm_facts), set(found.vcpu_facts)) == ({300}, {other})
    assert found.scheduling == {}  # it is not known when its counters began
    assert set(host.sample(10).scheduling or ()) == {other}


def test_counters_never_shrink(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.sample()
    host.write({"proc/vmstat": "pswpin 1\n", f"proc/{WEB}/task/101/schedstat": "9 9 9"})
    found = host.sample(1)
    assert found.host_counters["swapped_in"] == 0
    assert (found.scheduling or {})[VCPU]["ran"] == 0
