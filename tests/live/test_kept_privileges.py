"""What kstats keeps where it goes on doing something that needs a capability."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from lab.hosts import Host
from tests.live.conftest import beds
from tests.live.guests import guest
from tests.live.kstats import Watch
from tests.live.test_privileges import CPUID, READY

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm"), indirect=True, scope="session"),
]


def test_the_kernels_statistics_need_a_capability_every_time(host: Host) -> None:
    done = host.run(["kstats", "-v", "0.5", "2", "--overhead", "--debug"])
    assert done.status == 0
    assert "kept CAP_SYS_ADMIN: kstats enables the kernel's BPF statistics" in done.stderr


def test_new_files_in_a_directory_of_another_user(host: Host) -> None:
    host.run("mkdir /run/theirs && chown 65534 /run/theirs").check()
    words = ["kstats", "record", "-o", "/run/theirs/samples.jsonl", "--debug", "0.2"]
    with host.start(words) as command:
        command.wait_output("kept CAP_DAC_OVERRIDE: kstats creates files")
        # A file without samples is not rotated: wait for a line after the header.
        lines = "$(wc -l < /run/theirs/samples.jsonl)"
        host.run(f"until [ {lines} -gt 1 ]; do sleep 0.1; done").check()
        command.signal(signal.SIGHUP)
        host.run("until [ $(ls /run/theirs | wc -l) = 2 ]; do sleep 0.1; done").check()
        assert command.stop().status == 0


@pytest.fixture
def _hidden(host: Host) -> Iterator[None]:
    host.run("mount -o remount,hidepid=invisible,gid=65534 /proc").check()
    yield
    host.run("mount -o remount,hidepid=off,gid=0 /proc").check()


@pytest.mark.usefixtures("_hidden")
def test_vms_in_a_proc_that_hides_processes(host: Host) -> None:
    words = ["kstats", "exits", "3600", "--by", "vm,reason", "-f", "json", "--debug"]
    with host.start(words) as command:
        command.wait_output(READY)
        with guest(host, "--workload", CPUID):
            watch = Watch(command).stop()
    assert "kept CAP_SYS_PTRACE: kstats finds processes in /proc" in command.stderr
    counts = {row["vm"]: row["count"] for row in watch.rows() if row["reason"] == "cpuid"}
    assert counts == {"python3": 500}
