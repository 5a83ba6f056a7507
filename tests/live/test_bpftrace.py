"""The script of ``kstats arch -f bpftrace``, run by bpftrace around a guest with known exits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from lab.hosts import Host, boot, find
from lab.payload import payload
from tests.live.guests import VMM, at_any_time, expected
from tests.live.kstats import ExitId

pytestmark = pytest.mark.host

LOADS = {
    "svm": "cpuid=109,io=23,rdmsr=31,wrmsr=17,hypercall=7,page=11,wbinvd=3,ud=2",
    "arm64": "hypercall=109,smc=23,sys64=31,page=11,exec=5,mmio=13",
}
_COUNTED = re.compile(r"^@exits\[(\d+), (.*)\]: (\d+)$", re.MULTILINE)


@pytest.fixture(scope="module", params=sorted(LOADS))
def isa(request: pytest.FixtureRequest) -> str:
    """Return the ISA of the host."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def bpftraced(isa: str) -> Iterator[Host]:
    """Boot a host that has bpftrace."""
    with boot(find(f"{isa}-bpftrace"), payload=payload()) as host:
        yield host


def test_it_counts_every_exit_under_its_name(isa: str, bpftraced: Host) -> None:
    bpftraced.run(f"kstats arch {isa} -f bpftrace >/tmp/exits.bt").check()
    with bpftraced.start(["bpftrace", "-B", "line", "/tmp/exits.bt"]) as script:  # noqa: S108
        script.wait_output("Attaching")
        bpftraced.run("until bpftool perf show | grep -q kvm_exit; do sleep 1; done").check()
        bpftraced.run([*VMM, "--cpu", "1", "--workload", LOADS[isa]]).check()
        text = script.stop().stdout
    found = {int(code): (name, int(n)) for code, name, n in _COUNTED.findall(text)}
    counts: Counter[ExitId] = Counter()
    for code, (_, n) in found.items():
        counts[isa, code & 0xFFFF_FFFF, code >> 32] += n
    wanted = expected(LOADS[isa], isa)
    assert {exit_: n for exit_, n in counts.items() if exit_ in wanted} == wanted, text
    assert set(counts) <= set(wanted) | at_any_time(LOADS[isa], isa)
    names = {name for name, _ in found.values()}
    assert names >= {"svm": {"cpuid", "npf", "msr:rd", "msr:wr"}, "arm64": {"HVC64", "SYS64"}}[isa]
