"""Failures around ``kstats -v`` in a host: it prints one line, or goes on counting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.hosts import Host
from lab.hosts.command import Result
from tests.live.conftest import beds
from tests.live.guests import guest
from tests.live.kstats import wait_attached, watching

pytestmark = [
    pytest.mark.host,
    # One kernel is enough: nothing here depends on how exits are read.
    pytest.mark.parametrize("bed", beds("svm"), indirect=True, scope="session"),
]

CPUID = "cpuid=500"


def kstats(host: Host, *words: str) -> Result:
    return host.run(["kstats", *words])


def assert_one_line(result: Result, status: int, *texts: str) -> None:
    """Check the status, and that each text is in the messages, without a traceback."""
    assert result.status == status, result.stderr
    assert "Traceback" not in result.stderr
    assert all(line.startswith("kstats: ") for line in result.stderr.splitlines())
    for text in texts:
        assert text in result.stderr


def attached_programs(host: Host) -> int:
    """Return how many of kstats' programs the kernel holds."""
    return host.run("bpftool prog show").check().stdout.count("name on_e")


def wait_until_none_is_attached(host: Host) -> None:
    """Wait until the kernel holds no program: it frees them after a grace period."""
    host.run("while bpftool prog show | grep -q 'name on_e'; do sleep 0.1; done").check()


@contextmanager
def without_kvm(host: Host) -> Iterator[None]:
    host.run("rmmod kvm_amd kvm").check()
    yield
    host.run("modprobe kvm_amd").check()


def test_kvm_that_is_not_loaded(host: Host) -> None:
    with without_kvm(host):
        assert_one_line(kstats(host, "-v", "1", "1"), 4, "KVM is not loaded", "modprobe kvm_amd")
        doctor = kstats(host, "doctor")
    assert doctor.status == 4
    assert re.search(r"fail\s+kvm\s+KVM is not loaded", doctor.stdout)


def test_the_vendor_module_is_reloaded_while_counting(host: Host) -> None:
    with host.start(["kstats", "-v", "1", "--total", "--debug"]) as command:
        command.wait_output("exits through")
        assert host.run("rmmod kvm").status != 0  # held by the attached program
        host.run("rmmod kvm_amd").check()
        command.wait_output("# kvm_amd was unloaded")
        host.run("modprobe kvm_amd").check()
        with guest(host, "--cpu", "1", "--workload", CPUID):
            pass
        done = command.stop()
    assert done.status == 0
    totals = [line.split() for line in done.stdout.splitlines() if line.startswith("total")]
    assert sum(int(cells[11]) for cells in totals) == 500


def test_tracefs_that_is_not_mounted(host: Host) -> None:
    # debugfs mounts a tracefs of its own on access.
    host.run("umount /sys/kernel/tracing && umount -l /sys/kernel/debug").check()
    try:
        assert kstats(host, "-v", "0.1", "1").status == 0
        forced = kstats(host, "-v", "0.1", "1", "--probe", "classic")
    finally:
        host.run("mount -t tracefs nodev /sys/kernel/tracing").check()
        host.run("mount -t debugfs nodev /sys/kernel/debug").check()
    assert_one_line(forced, 4, "tracefs is not mounted", "mount -t tracefs")


def test_without_btf_it_reports_the_probe_it_falls_back_to(host: Host) -> None:
    hide = "mount -t tmpfs none /sys/kernel/btf"
    try:
        host.run(hide).check()
        said = kstats(host, "-v", "0.1", "1", "--debug")
        forced = kstats(host, "-v", "0.1", "1", "--probe", "raw-btf")
        doctor = kstats(host, "doctor")
    finally:
        host.run("umount /sys/kernel/btf").check()
    assert said.status == 0
    assert "svm exits through classic" in said.stderr
    assert re.search(r"not through raw-btf: .*no BTF", said.stderr)
    assert_one_line(forced, 4, "no BTF")
    assert doctor.status == 0
    assert "attached through classic" in doctor.stdout


def test_not_root(host: Host) -> None:
    as_nobody = (
        "import os, sys; os.setgid(65534); os.setuid(65534); os.execvp('kstats', sys.argv[1:])"
    )
    words = ["python3", "-c", as_nobody, "kstats", "-v", "1", "1"]
    assert_one_line(host.run(words), 3, "not permitted", "run as root")


def test_cpu_goes_offline_and_returns(host: Host) -> None:
    switch = "/sys/devices/system/cpu/cpu1/online"
    with watching(host) as watch:
        wait_attached(watch)
        with guest(host, "--cpu", "1", "--workload", CPUID):
            pass
        host.run(f"echo 0 > {switch}").check()
        try:
            watch.stop()
            later = kstats(host, "-v", "0.1", "1")
        finally:
            host.run(f"echo 1 > {switch}").check()
    assert watch.exits(1)["svm", 0x72, 0] == 500
    first_words = [line.split()[0] for line in later.stdout.splitlines()]
    assert [word for word in first_words if word != "#"] == ["cpu", "0"]


def test_a_cpu_that_returns_is_counted(host: Host) -> None:
    switch = "/sys/devices/system/cpu/cpu1/online"
    with watching(host) as watch:
        wait_attached(watch)
        host.run(f"echo 0 > {switch}; sleep 1; echo 1 > {switch}").check()
        with guest(host, "--cpu", "1", "--workload", CPUID):
            watch.stop()
    assert watch.exits(1)["svm", 0x72, 0] == 500


@pytest.mark.parametrize("number", [2, 15, 9], ids=["INT", "TERM", "KILL"], scope="function")
def test_nothing_stays_attached(host: Host, number: int) -> None:
    wait_until_none_is_attached(host)
    with host.start(["kstats", "-v", "3600", "--debug"]) as command:
        command.wait_output("exits through")
        assert attached_programs(host) == 2
        command.stop(number)
    wait_until_none_is_attached(host)


def test_a_closed_pipe_ends_it_quietly(host: Host) -> None:
    done = host.run("kstats -v 0.1 | head -2")
    assert done.stdout.startswith("cpu vm_entry vm_exit ints")
    assert (done.status, done.stderr) == (0, "")
    wait_until_none_is_attached(host)


def test_interrupted_interval_is_reported(host: Host) -> None:
    with watching(host) as watch:
        wait_attached(watch)
        with guest(host, "--cpu", "1", "--workload", CPUID):
            watch.stop()
    (report,) = watch.reports
    assert report["elapsed"] < 3600
    assert watch.exits()["svm", 0x72, 0] == 500


def test_table_on_a_terminal(host: Host) -> None:
    """The header is repeated on every screen, and rows of zeros are dimmed."""
    words = ["kstats", "-v", "0.2", "8"]
    done = host.start(words, terminal=(9, 120), env={"TERM": "xterm"})
    shown = done.wait().stdout
    assert shown.count("vm_entry") >= 2
    assert "\x1b[2m" in shown
