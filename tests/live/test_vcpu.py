"""``kstats vcpu`` and ``kvmstat`` in emulated KVM hosts, with two VMs and both sources."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from kstats import arch as arches
from kstats.arch.kvmstat import COLUMNS, Rule
from lab.hosts import Host
from lab.vmm import workload as workloads
from lab.vmm.kinds import ANY_TIME
from tests.live.conftest import Bed, beds
from tests.live.guests import guest
from tests.live.kstats import Watch, now, wait_attached, watching

pytestmark = pytest.mark.host


def hosts(*recipes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


HOSTS = hosts("svm", "arm64", "vmx-up")
EVERY_SECOND = hosts("svm", "arm64")
"""Hosts with a reliable clock: in Bochs a sleeping thread may not wake up for minutes."""

HEADER = "pid vcpu | exits : haltx irqx irqwx iox mmiox | irqs emul eptv"

LOADS: Mapping[str, tuple[str, str]] = {
    "x64": (
        "cpuid=211,io=83,page=43,mmio=41,hlt=59",
        "hypercall=53,in=19,page=13,irqwin=31,irq=17,mmio=7",
    ),
    "arm64": ("hypercall=211,page=43,exec=29,mmio=83,wfi=59", "sys64=53,page=13,mmio=19"),
}

Columns = dict[str, int | None]
Who = tuple[int, int]


@attrs.frozen
class Observed:
    """The work of two VMs as counted by each source.

    ``rows`` has the rows of each BPF report: one per second until the VMs ended, or one of their
    work. ``kernel`` is one report from KVM's counters, made while the VMs idled. ``idle`` is the
    output of kvmstat at that time, if there was one report per second.
    """

    pids: tuple[int, int]
    rows: tuple[dict[Who, Columns], ...]
    kernel: dict[Who, Columns]
    idle: str

    def vcpus(self) -> list[Who]:
        """Return all vCPUs."""
        return [(pid, vcpu) for pid in self.pids for vcpu in (0, 1)]

    def counted(self, who: Who) -> Columns:
        """Return the sum of each column of a vCPU over all reports."""
        reports = [rows[who] for rows in self.rows if who in rows]
        return {column: _sum([row[column] for row in reports]) for column in COLUMNS}


def _sum(cells: list[int | None]) -> int | None:
    numbers = [n for n in cells if n is not None]
    assert len(numbers) in {0, len(cells)}
    return sum(numbers) if numbers else None


def rows_of(report: Mapping[str, Any]) -> dict[Who, Columns]:
    assert report["code_dropped"] == report["unsupported_isa"] == report["missed"] == 0
    rows = {}
    for row in report["rows"]:
        assert (row["pid"], row["vcpu"]) not in rows
        rows[row["pid"], row["vcpu"]] = {column: row[column] for column in COLUMNS}
    return rows


def loads(bed: Bed) -> tuple[str, str]:
    return LOADS["arm64" if bed.isa == "arm64" else "x64"]


def vm_options(bed: Bed, load: str) -> tuple[str, ...]:
    return "--stats", "--vcpus", "2", "--cpu", f"0,{bed.pinned}", "--workload", load


@pytest.fixture(scope="module")
def observed(bed: Bed, host: Host) -> Observed:
    first, second = loads(bed)
    every_second = bed.isa != "vmx"
    with (
        watching(host, "vcpu", "1" if every_second else "3600") as counted,
        watching(host, "vcpu", "3600", "--source", "kernel") as kernel,
    ):
        wait_attached(counted, kernel)
        with (
            guest(host, *vm_options(bed, first)) as one,
            guest(host, *vm_options(bed, second)) as two,
        ):
            kernel.stop()
            if every_second:
                idle = idling(host, counted)
            else:
                idle = ""
                counted.stop()
        if every_second:
            counted.wait_reports(2, now(host))
            counted.stop()
    (last,) = kernel.reports
    rows = tuple(map(rows_of, counted.reports))
    pids = (one["vms"][0]["pid"], two["vms"][0]["pid"])
    return Observed(pids, rows, rows_of(last), idle)


def idling(host: Host, counted: Watch) -> str:
    """Wait for reports of idle VMs; return what kvmstat prints of KVM's counters."""
    counted.wait_reports(2, now(host))
    words = ["kvmstat", "--source", "kernel", "1", "2"]
    return host.run(words).check().stdout


def rules(bed: Bed) -> dict[str, Rule]:
    (arch,) = (arch for arch in arches.arches() if arch.isa(bed.isa))
    return {rule.column: rule for rule in arch.kvmstat[bed.isa]}


def work(bed: Bed, observed: Observed) -> list[tuple[Who, str]]:
    """Return each vCPU and its workload."""
    return [
        ((pid, vcpu), load)
        for pid, load in zip(observed.pids, loads(bed), strict=True)
        for vcpu in (0, 1)
    ]


def known(load: str, isa: str) -> dict[str, int]:
    """Return the columns that a workload determines, by the manuals and not by kstats' rules."""
    steps = workloads.parse(load)
    units = Counter({step.kind: step.count for step in steps})
    exits = Counter({name: n for (_, name), n in workloads.expected(steps, isa).items()})
    user = workloads.expected_user(steps, isa)
    if isa == "arm64":
        faults = exits["DABT_LOW"] + exits["IABT_LOW"]
        return {"haltx": units["wfi"], "mmiox": user["MMIO"], "eptv": faults}
    names = {"svm": ("io", "npf"), "vmx": ("IO_INSTRUCTION", "EPT_VIOLATION")}[isa]
    return {
        "haltx": units["hlt"],
        "irqwx": units["irqwin"],
        "iox": exits[names[0]],
        "mmiox": units["mmio"],
        "eptv": exits[names[1]],
    }


@HOSTS
def test_every_column_is_what_the_guests_did(bed: Bed, observed: Observed) -> None:
    for who, load in work(bed, observed):
        counted = observed.counted(who)
        wanted = known(load, bed.isa)
        assert {column: counted[column] for column in wanted} == wanted, who


@HOSTS
def test_all_exits_are_those_of_the_work_and_of_the_host(bed: Bed, observed: Observed) -> None:
    for who, load in work(bed, observed):
        counted = observed.counted(who)
        steps = workloads.parse(load)
        certain = sum(workloads.expected(steps, bed.isa).values())
        exits, own = counted["exits"], counted["irqx"]
        assert exits is not None
        assert own is not None
        if workloads.inexact(steps, bed.isa) == ANY_TIME[bed.isa]:
            assert exits == certain + own, who
        else:
            assert exits >= certain + own, who


@HOSTS
def test_injected_interrupts_are_the_vmms(bed: Bed, observed: Observed) -> None:
    for who, load in work(bed, observed):
        injected = observed.counted(who)["irqs"]
        if not rules(bed)["irqs"].is_counted:
            assert injected is None
            continue
        # An injection that KVM cancels and repeats counts twice.
        wanted = workloads.injected(workloads.parse(load))
        assert injected is not None
        assert injected >= wanted
        assert bool(injected) == bool(wanted)


@HOSTS
def test_both_sources_agree_where_both_count(bed: Bed, observed: Observed) -> None:
    for who, _ in work(bed, observed):
        counted, kept = observed.counted(who), observed.kernel[who]
        equal = {name for name, rule in rules(bed).items() if rule.stats and not rule.differs}
        assert len(equal) >= 3
        assert {name: kept[name] for name in equal} == {name: counted[name] for name in equal}, who


@HOSTS
def test_the_sources_differ_as_documented(bed: Bed, observed: Observed) -> None:
    for who, load in work(bed, observed):
        counted, kept = observed.counted(who), observed.kernel[who]
        units = Counter({step.kind: step.count for step in workloads.parse(load)})
        if rules(bed)["exits"].differs:  # exits handled by the fast path
            assert 0 < (kept["exits"] or 0) <= (counted["exits"] or 0)
        if rules(bed)["mmiox"].differs:  # all of these go to user space
            assert kept["mmiox"] == counted["mmiox"] == units["mmio"]
        if rules(bed)["eptv"].differs:  # only mapped pages; VMX's first access creates an entry
            devices = {"svm": units["mmio"], "vmx": min(units["mmio"], 1)}[bed.isa]
            assert kept["eptv"] == (counted["eptv"] or 0) - devices


@HOSTS
def test_columns_that_are_not_counted_are_null_in_every_report(
    bed: Bed, observed: Observed
) -> None:
    dashes = {name for name, rule in rules(bed).items() if not rule.is_counted}
    unkept = {name for name, rule in rules(bed).items() if not rule.stats}
    for report in observed.rows:
        for row in report.values():
            assert {name for name, cell in row.items() if cell is None} == dashes
    for row in observed.kernel.values():
        assert {name for name, cell in row.items() if cell is None} == unkept


@EVERY_SECOND
def test_an_idle_vcpu_has_a_row_of_zeros(bed: Bed, observed: Observed) -> None:
    zeros = {name: 0 if rule.is_counted else None for name, rule in rules(bed).items()}
    for who in observed.vcpus():
        assert any(rows.get(who) == zeros for rows in observed.rows), who


@EVERY_SECOND
def test_a_vm_appears_once_and_leaves_after_its_last_counts(observed: Observed) -> None:
    for who in observed.vcpus():
        there = "".join("-+"[who in rows] for rows in observed.rows)
        assert there.strip("-").count("-") == 0, there
        assert there.endswith("-"), there


@HOSTS
def test_only_vcpus_have_rows(observed: Observed) -> None:
    assert {who for rows in observed.rows for who in rows} == set(observed.vcpus())
    assert set(observed.kernel) == set(observed.vcpus())


@EVERY_SECOND
def test_kvmstat_prints_the_format_of_its_manual(bed: Bed, observed: Observed) -> None:
    header, *lines = observed.idle.splitlines()
    assert header.split() == HEADER.split()
    assert all(len(line) == len(header) for line in lines)
    zeros = [str(0) if rule.stats else "-" for rule in rules(bed).values()]
    exits, classes, others = zeros[0], " ".join(zeros[1:6]), " ".join(zeros[6:])
    rows = sorted(observed.vcpus()) * 2
    assert [" ".join(line.split()) for line in lines] == [
        f"{pid} {vcpu} | {exits} : {classes} | {others}" for pid, vcpu in rows
    ]


ONE_KERNEL = hosts("svm")


@ONE_KERNEL
def test_kvmstat_counts_with_bpf_by_default(host: Host) -> None:
    with host.start(["kvmstat", "1"]) as command:
        command.wait_output(HEADER.split(maxsplit=1)[0])
        with guest(host, "--vcpus", "1", "--cpu", "1", "--workload", "cpuid=97") as report:
            host.run("sleep 2").check()
        done = command.stop()
    assert (done.status, done.stderr) == (0, "")
    lines = [line.replace("|", "").replace(":", "").split() for line in done.stdout.splitlines()]
    (vm,) = report["vms"]
    mine = [list(map(int, line[2:])) for line in lines if line[0] == str(vm["pid"])]
    exits, irqx = (sum(row[column] for row in mine) for column in (0, 2))
    assert exits - irqx == sum(workloads.expected(workloads.parse("cpuid=97"), "svm").values())


@ONE_KERNEL
def test_a_vmm_that_opened_no_statistics_has_rows_of_nulls(host: Host) -> None:
    with guest(host, "--vcpus", "2", "--workload", "cpuid=5") as report:
        words = ["kstats", "vcpu", "--source", "kernel", "-f", "json", "0.5", "2"]
        done = host.run(words).check()
    first, second = map(json.loads, done.stdout.splitlines())
    pid = report["vms"][0]["pid"]
    dashes = dict.fromkeys(COLUMNS)
    assert rows_of(first) == rows_of(second) == {(pid, 0): dashes, (pid, 1): dashes}
    (note,) = first["notes"]
    assert note.startswith(f"process {pid}: KVM's counters cannot be read")
    assert second["notes"] == []
