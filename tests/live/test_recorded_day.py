"""``kstats record`` on a host with changing CPUs, VMs, modules and clocks: nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from kstats import recording
from kstats.model import Sample
from lab.hosts import Host
from tests.live.conftest import beds
from tests.live.guests import VMM, guest
from tests.live.kstats import ATTACHED, wait_samples

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm"), indirect=True, scope="session"),
]

CPUID = "cpuid=499"
RECORD = ("kstats", "record", "-o", "/run/day.jsonl", "0.5", "--debug")


def kept(host: Host, path: str, folder: Path) -> list[Sample]:
    """Return the samples of a recording in the host; it must be complete."""
    copy = folder / Path(path).name
    copy.write_bytes(host.get(path))
    with recording.read(copy) as source:
        samples = list(source)
        assert source.tail is None
    return samples


def cpuids(samples: Iterable[Sample]) -> int:
    """Return the number of CPUID exits."""
    return sum(
        sum(e.count for e in sample.exits.get(("svm", 0x72), {}).values()) for sample in samples
    )


@attrs.frozen
class Clocks:
    """The seconds that a host has been running and suspended."""

    awake: float
    asleep: float


CLOCKS = """python3 -c '
import time
awake, booted = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
print(awake, booted - awake)'"""


def clocks(host: Host) -> Clocks:
    """Return what the clocks of a host show."""
    return Clocks(*map(float, host.run(CLOCKS).check().stdout.split()))


def assert_elapsed(samples: Iterable[Sample], awake: float) -> None:
    """Check that samples cover no other time than the seconds in which the host ran."""
    elapsed = [sample.elapsed for sample in samples]
    assert min(elapsed) > 0
    assert sum(elapsed) <= awake


def test_a_recording_survives_changes_of_the_host(host: Host, tmp_path: Path) -> None:
    """A CPU goes offline, VMs start and end, kvm_amd is reloaded, the clock is set."""
    switch = "/sys/devices/system/cpu/cpu1/online"
    path = RECORD[3]
    before = clocks(host)
    with host.start(RECORD) as recorder:
        recorder.wait_output(ATTACHED)
        with guest(host, "--cpu", "1", "--workload", CPUID):
            wait_samples(host, path)
        host.run(f"echo 0 > {switch}").check()
        wait_samples(host, path)
        host.run(f"echo 1 > {switch}").check()
        host.run("rmmod kvm_amd").check()
        wait_samples(host, path)
        host.run("modprobe kvm_amd").check()
        host.run("date -s @$(( $(date +%s) + 7200 ))").check()
        wait_samples(host, path)
        with guest(host, "--cpu", "1", "--workload", CPUID):
            host.run("date -s @$(( $(date +%s) - 7200 ))").check()
            wait_samples(host, path)
            done = recorder.stop().check()
    after = clocks(host)
    assert "kvm_amd was unloaded" in done.stderr
    samples = kept(host, "/run/day.jsonl", tmp_path)
    assert cpuids(samples) == 2 * 499
    assert {s.cpus for s in samples} == {(0, 1), (0,)}
    assert any("kvm_amd was unloaded" in note for s in samples for note in s.notes)
    assert "kvm_amd was unloaded" not in " ".join(samples[-1].notes)
    assert len({t.pid for s in samples for t in s.threads.values()}) == 2
    jumps = [b.time - a.time for a, b in pairwise(samples)]
    assert [round(jump / 3600) for jump in jumps if abs(jump) > 3000] == [2, -2]
    assert_elapsed(samples, after.awake - before.awake)


LAPS, PERIOD = 12, 0.5
SUSPEND = "echo core > /sys/power/pm_test && echo mem > /sys/power/state"
"""Suspend tasks, devices, other CPUs and clocks, but not the firmware; resume after 5 s."""


def test_a_host_that_is_suspended_is_recorded(host: Host, tmp_path: Path) -> None:
    """No exit of a running guest is lost; rates do not include the time of suspension."""
    steps = ("--laps", str(LAPS), "--period", str(PERIOD), "--hold", "600")
    before = clocks(host)
    with host.start((*RECORD[:3], "/run/night.jsonl", *RECORD[4:])) as recorder:
        recorder.wait_output(ATTACHED)
        with host.start([*VMM, "--cpu", "1", "--workload", CPUID, *steps]) as vmm:
            host.run("sleep 2").check()
            host.run(SUSPEND).check()
            vmm.wait_output('"vms"')
            recorder.stop().check()
            vmm.stop(signal.SIGTERM)
    after = clocks(host)
    night = after.asleep - before.asleep
    assert night > 4
    samples = kept(host, "/run/night.jsonl", tmp_path)
    assert cpuids(samples) == LAPS * 499
    gaps = [b.time - a.time - b.elapsed for a, b in pairwise(samples)]
    assert max(gaps) == pytest.approx(night, abs=1)
    assert sum(gaps) - max(gaps) < 1
    assert_elapsed(samples, after.awake - before.awake)
