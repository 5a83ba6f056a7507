"""The programs in examples/, in emulated hosts, around guests with known exits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kstats import api
from kstats.arch.base import NUMBER_BITS
from lab.hosts import Host
from tests.live.conftest import Bed, beds
from tests.live.guests import VMM, expected, guest

pytestmark = [
    pytest.mark.host,
    pytest.mark.parametrize("bed", beds("svm", "arm64"), indirect=True, scope="session"),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
SITE = {"PYTHONPATH": "/payload/site"}
LOADS = {"svm": "cpuid=1009,rdmsr=307,wrmsr=151,io=83", "arm64": "hypercall=1009,smc=53,mmio=83"}


def test_top_reasons_prints_those_of_a_vm(bed: Bed, host: Host) -> None:
    host.put("/run/top_reasons.py", (EXAMPLES / "top_reasons.py").read_bytes())
    words = ["python3", "/run/top_reasons.py", "--all", "--top", "2", "1", "3600"]
    with host.start(words, env=SITE) as watcher:
        watcher.wait_output("T")  # the time of the first sample: counting has begun
        with guest(host, "--workload", LOADS[bed.isa]) as report:
            watcher.wait_output(f"pid {report['vms'][0]['pid']}")
            host.run("sleep 2").check()
        done = watcher.stop().check()
    (pid,) = (vm["pid"] for vm in report["vms"])
    busy = [line for line in done.stdout.splitlines() if f"pid {pid}" in line and "%" in line]
    top = {"svm": "cpuid", "arm64": "HVC64"}[bed.isa]
    assert re.search(rf"python3 \(other, pid {pid}\): \d+ exits/s  .*{top} \d+%", "".join(busy))


def test_perf_handler_names_exits(bed: Bed, host: Host) -> None:
    """With perf script. On ARM64 perf attributes KVM's events to the guest."""
    host.put("/run/perf_exits.py", (EXAMPLES / "perf_exits.py").read_bytes())
    load = LOADS[bed.isa]
    record = ["perf", "record", "-q", "-o", "/run/p.data", "-a", "-e", "kvm:kvm_exit"]
    host.run([*record, *VMM, "--workload", load]).check()
    guests = ["--guest-code"] if bed.isa == "arm64" else []
    script = ["perf", "script", *guests, "-i", "/run/p.data", "-s", "/run/perf_exits.py"]
    shown = host.run(script, env=SITE).check().stdout
    counted = {name: int(n) for n, _, name in map(str.split, shown.splitlines())}
    wanted = {
        api.reason(isa, qualifier << NUMBER_BITS | code).name: n
        for (isa, code, qualifier), n in expected(load, bed.isa).items()
    }
    assert 1009 in wanted.values()
    assert {name: counted[name] for name in wanted} == wanted
