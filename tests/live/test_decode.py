"""Decoded output of ftrace and perf equals what kstats counted, by CPU and thread."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import pytest

from kstats.importers import decode
from kstats.views.exits import count_by
from lab.hosts import Host
from tests.live.conftest import Bed, beds
from tests.live.guests import VMM
from tests.live.kstats import wait_attached, watching

pytestmark = pytest.mark.host


def in_beds(*recipes: str) -> pytest.MarkDecorator:
    """Run a test in these hosts: one for each way in which the kernel prints exits."""
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


BY = ("cpu", "pid", "tid", "reason")
INSTANCE = "/sys/kernel/tracing/instances/decode"
RECORDED = "/tmp/decode.data"  # noqa: S108 - in the host
LOADS: Mapping[str, str] = {
    "svm": "cpuid=109,io=23,in=5,rdmsr=31,wrmsr=17,hypercall=7,page=11,mmio=13,wbinvd=3,ud=2",
    "vmx": "cpuid=109,io=23,in=5,rdmsr=31,wrmsr=17,hypercall=7,page=11,mmio=13,wbinvd=3,ud=2",
    "arm64": "hypercall=109,smc=23,sys64=31,page=11,exec=5,mmio=13,wfi=3",
}

Counts = Counter[tuple[Any, ...]]


@attrs.frozen
class Seen:
    """One run: the counts of kstats, the text of ftrace, and kstats' reading of perf's output."""

    counted: Counts
    ftrace: bytes
    perf: Counts | None


def counts_of(rows: Iterable[Mapping[str, Any]]) -> Counts:
    return Counter({tuple(row[key] for key in BY): row["count"] for row in rows})


@pytest.fixture(scope="module")
def seen(bed: Bed, host: Host) -> Seen:
    host.run(
        f"mkdir {INSTANCE} && cd {INSTANCE} && echo 8192 >buffer_size_kb && "
        "echo 1 >options/record-tgid && "
        "echo 1 >events/kvm/kvm_exit/enable && echo 1 >events/kvm/kvm_entry/enable"
    ).check()
    cpus = f"0,{bed.pinned}"
    guest = " ".join([*VMM, "--vcpus", "2", "--cpu", cpus, "--workload", LOADS[bed.isa]])
    with_perf = bed.isa != "vmx"  # Bochs takes minutes
    perf = f"perf record -q -a -e kvm:kvm_exit,kvm:kvm_entry -o {RECORDED} "
    with watching(host, "exits", "--by", ",".join(BY)) as watch:
        wait_attached(watch)
        host.run((perf if with_perf else "") + guest).check()
        counted = counts_of(watch.stop().rows())
    text = host.get(f"{INSTANCE}/trace")
    host.run(f"rmdir {INSTANCE}").check()
    return Seen(counted, text, decoded_by_pipe(bed, host) if with_perf else None)


def decoded_by_pipe(bed: Bed, host: Host) -> Counts:
    """Decode perf's output in the host."""
    # On ARM64 perf attributes KVM's events to the guest, and omits those without this option.
    guests = "--guest-code " if bed.isa == "arm64" else ""
    script = f"perf script {guests}-i {RECORDED} -F comm,pid,tid,cpu,time,event,trace 2>/dev/null"
    shown = host.run(f"{script} | kstats decode - --by {','.join(BY)} -f json").check()
    host.run(f"rm {RECORDED}").check()
    return counts_of(row for line in shown.stdout.splitlines() for row in json.loads(line)["rows"])


@in_beds("svm", "arm64", "vmx-up")
def test_the_guest_was_seen(seen: Seen) -> None:
    assert len({tid for _, _, tid, _ in seen.counted}) == 2
    assert seen.counted.total() > 300


@in_beds("svm", "arm64", "vmx-up")
def test_ftrace(bed: Bed, seen: Seen) -> None:
    found = decode(io.BytesIO(seen.ftrace))
    (sample,) = found
    assert (found.format, found.isa, sample.notes) == ("ftrace", bed.isa, ())
    assert count_by(sample, BY) == seen.counted
    assert sum(sample.entries.values()) == seen.counted.total()


@in_beds("svm", "arm64")
def test_perf_script(seen: Seen) -> None:
    assert seen.perf == seen.counted
