"""The .deb in hosts without a compiler: it counts exactly with what it depends on.

tests/packaging installs it with apt.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from lab.hosts import Host, boot, find
from lab.payload import vmm
from lab.vmm import workload as workloads
from tests.live.conftest import Bed, beds
from tests.live.guests import expected, guest
from tests.live.kstats import Watch, wait_attached, watching
from tests.packaging import made

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm-deb", "arm64-deb"), indirect=True, scope="session"),
]

BOOTS = {"busybox-static", "kmod"}
"""Packages that the host needs to boot, and kstats does not."""


@attrs.frozen
class Load:
    """What the guest does, and the details of a kind that it causes."""

    workload: str
    kind: str
    details: Mapping[str, int]


LOADS: Mapping[str, Load] = {
    "svm": Load(
        "cpuid=1009,rdmsr@0x8b=307,wrmsr@0x79=151",
        "msr",
        {"read MSR_IA32_UCODE_REV(0x8b)": 307, "write MSR_IA32_UCODE_WRITE(0x79)": 151},
    ),
    "arm64": Load(
        "hypercall=1009,sys64@0=307,wrsys64=11",
        "sysreg",
        {"read ID_AA64PFR0_EL1(S3_0_C0_C4_0)": 307, "write OSLAR_EL1(S2_0_C1_C0_4)": 11},
    ),
}

# All disks are read-only.
INSTALL = """
for folder in usr etc; do
    cp -a /$folder /run/$folder
    mount --bind /run/$folder /$folder
done
busybox dpkg-deb -x /run/kstats.deb /
"""


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.one(made.packages(tmp_path_factory.mktemp("packages")), "deb")


@pytest.fixture(scope="module")
def host(bed: Bed, deb: Path) -> Iterator[Host]:
    """Boot the host with the VMM, and install the package where dpkg would."""
    with boot(find(bed.recipe), payload=vmm()) as host:
        host.put("/run/kstats.deb", deb.read_bytes())
        host.run(INSTALL).check()
        yield host


@attrs.frozen
class Observed:
    """One run of a guest, as counted on several axes at the same time."""

    tid: int
    percpu: Watch
    details: Watch
    latency: Watch

    def rows(self, watch: Watch) -> list[dict[str, Any]]:
        """Return the rows of the vCPU."""
        return [row for row in watch.rows() if row["tid"] == self.tid]


@pytest.fixture(scope="module")
def observed(bed: Bed, host: Host) -> Observed:
    load = LOADS[bed.isa]
    with (
        watching(host) as percpu,
        watching(host, "exits", "--by", "tid,detail", "--detail", load.kind) as details,
        watching(host, "exits", "--by", "tid,reason", "--latency") as latency,
    ):
        wait_attached(percpu, details, latency)
        with guest(host, "--cpu", str(bed.pinned), "--workload", load.workload) as report:
            for watch in (percpu, details, latency):
                watch.stop()
    ((vcpu,),) = (vm["vcpus"] for vm in report["vms"])
    return Observed(vcpu["tid"], percpu, details, latency)


def test_the_host_has_what_the_package_depends_on(bed: Bed, deb: Path) -> None:
    depends = subprocess.check_output(["dpkg-deb", "-f", str(deb), "Depends"], text=True)
    names = {dependency.split()[0] for dependency in depends.split(",")}
    assert names == set(find(bed.recipe).userland.packages) - BOOTS


def test_the_host_has_no_compiler(host: Host) -> None:
    names = ("*LLVM*", "*llvm*", "*clang*", "libbcc*", "gcc*", "cc1")
    wanted = " -o ".join(f"-name '{name}'" for name in names)
    assert host.run(f"find /usr /etc {wanted}").check().stdout == ""
    assert "No module named 'bcc'" in host.run(["python3", "-c", "import bcc"]).stderr


def test_kstats_is_where_the_package_has_it(host: Host) -> None:
    assert host.run("command -v kstats").check().stdout == "/usr/bin/kstats\n"
    where = "import kstats; print(*kstats.__path__)"
    found = host.run(["python3", "-I", "-c", where]).check().stdout
    assert found == "/usr/lib/python3/dist-packages/kstats\n"


def test_doctor_is_content(bed: Bed, host: Host) -> None:
    said = host.run(["kstats", "doctor"]).check().stdout
    assert re.search(r"^ok +libbpf +1\.\d+", said, re.MULTILINE)
    assert re.search(r"^ok +bcc +not installed, and not needed$", said, re.MULTILINE)
    assert f"loaded by prebuilt and attached through {bed.probe}" in said
    assert "kstats cpu works here" in said


def test_bcc_can_be_asked_for_in_vain(host: Host) -> None:
    done = host.run(["kstats", "-v", "1", "1", "--loader", "bcc"])
    assert done.status != 0
    assert "python3-bpfcc" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_reason_is_counted_to_the_unit(bed: Bed, observed: Observed) -> None:
    wanted = expected(LOADS[bed.isa].workload, bed.isa)
    counted = observed.percpu.exits(bed.pinned)
    assert {exit_: n for exit_, n in counted.items() if exit_ in wanted} == wanted
    assert "loaded by prebuilt" in observed.percpu.command.stderr


def test_every_detail_is_counted_to_the_unit(bed: Bed, observed: Observed) -> None:
    counted: Counter[str] = Counter()
    for row in observed.rows(observed.details):
        counted[row["detail"]] += row["count"]
    assert counted == LOADS[bed.isa].details


def test_every_exit_is_timed(bed: Bed, observed: Observed) -> None:
    rows = observed.rows(observed.latency)
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row["reason"].partition(":")[0]] += row["count"]
    load = workloads.parse(LOADS[bed.isa].workload)
    wanted = {name: n for (_, name), n in workloads.expected(load, bed.isa).items()}
    assert {name: counted[name] for name in wanted} == wanted
    assert all(0 < row["min_ns"] <= row["p50_ns"] <= row["max_ns"] for row in rows)
