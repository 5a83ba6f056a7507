"""Counting with few privileges, and with none once the programs are attached."""

from __future__ import annotations

import pytest

from lab.hosts import Host
from lab.hosts.command import Command
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.kstats import ATTACHED, Watch

pytestmark = [
    pytest.mark.host,
    # Before 5.19, bpf(2) as a whole needs CAP_BPF where unprivileged_bpf_disabled is set.
    pytest.mark.parametrize("bed", beds("svm", "svm-5.10"), indirect=True, scope="session"),
]

CPUID = "cpuid=500"
READY = "kept "
CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_BPF = 2, 38, 39

# The user nobody with some ambient capabilities, like a service of systemd with
# AmbientCapabilities= and LimitMEMLOCK=infinity.
AS_NOBODY = """
import ctypes, os, resource, sys
KEEPCAPS, AMBIENT, RAISE = 8, 47, 2
capabilities = [int(word) for word in sys.argv[1].split(",")]
libc = ctypes.CDLL(None)
resource.setrlimit(resource.RLIMIT_MEMLOCK, (-1, -1))
libc.prctl(KEEPCAPS, 1, 0, 0, 0)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
mask = sum(1 << number for number in capabilities)
low, high = mask & 0xFFFFFFFF, mask >> 32
sets = (ctypes.c_uint32 * 6)(low, low, low, high, high, high)
libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), sets)
for number in capabilities:
    libc.prctl(AMBIENT, RAISE, number, 0, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(scope="module", autouse=True)
def _sysctls(host: Host) -> None:
    host.run("echo 2 > /proc/sys/kernel/unprivileged_bpf_disabled").check()
    # The classic probe is a perf event. Debian's default of 3 reserves them for CAP_SYS_ADMIN.
    host.run("echo 2 > /proc/sys/kernel/perf_event_paranoid").check()


def as_nobody(bed: Bed) -> list[str]:
    """Return the beginning of a command that runs with the capabilities to count in a host."""
    # Without BTF of modules, the offsets are read from tracefs, which is root's.
    more = [CAP_DAC_READ_SEARCH] if bed.recipe == "svm-5.10" else []
    return ["python3", "-c", AS_NOBODY, ",".join(map(str, [CAP_PERFMON, CAP_BPF, *more]))]


def kept(bed: Bed) -> int:
    """Return the capabilities that kstats keeps in a host."""
    return 1 << CAP_BPF if bed.recipe == "svm-5.10" else 0


def status(host: Host, command: Command) -> dict[str, int]:
    """Return the capabilities of a process, and NoNewPrivs."""
    lines = host.run(["cat", f"/proc/{command.pid}/status"]).check().stdout.splitlines()
    pairs = (line.split(":") for line in lines)
    return {
        name: int(value, 16)
        for name, value in pairs
        if name in {"CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs"}
    }


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_it_counts_exactly_without_capabilities(bed: Bed, host: Host, user: str) -> None:
    words = ["kstats", "exits", "3600", "--by", "vm,reason", "-f", "json", "--debug"]
    with host.start([*(as_nobody(bed) if user == "nobody" else []), *words]) as command:
        command.wait_output(READY)
        has = status(host, command)
        with guest(host, "--workload", CPUID):
            watch = Watch(command).stop()
    mask = kept(bed)
    assert has == {"CapEff": mask, "CapPrm": mask, "CapInh": 0, "CapAmb": 0, "NoNewPrivs": 1}
    assert ATTACHED in command.stderr
    assert sum(row["count"] for row in watch.rows() if row["reason"] == "cpuid") == 500
