"""Latencies of exits and vCPU time in emulated KVM hosts, around guests with known waits.

The same run is recorded, and the recordings are read on this machine.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import pytest

from lab.hosts import Host
from lab.vmm import workload as workloads
from tests.live.conftest import Bed, beds
from tests.live.guests import VMM, guest
from tests.live.kstats import (
    ATTACHED,
    Watch,
    here,
    wait_attached,
    wait_for_workload,
    watching,
)

pytestmark = pytest.mark.host


def in_hosts(*recipes: str) -> pytest.MarkDecorator:
    """Run a test in these hosts."""
    return pytest.mark.parametrize("bed", beds(*recipes), indirect=True, scope="session")


in_all = in_hosts("svm", "svm-5.10", "svm-6.12", "arm64", "vmx-up")
# 5.10 shows in another file where a thread sleeps.
in_some = in_hosts("svm", "svm-5.10", "arm64")


MS = 10**6
ERROR = 0.125  # relative error of a percentile
SLEEP, DELAY = 3, 2  # milliseconds that the guest waits for its timer and for the VMM
SLEEPS, DELAYS = 31, 41
IDLE = "(idle)"
SLOW = 1500  # microseconds
LATENCY = ("exits", "--latency", "--by", "tid,reason")
RECORDED, LATENCIES = "/run/recorded.jsonl", "/run/latencies.jsonl"
PERF_DATA = "/root/perf.data"

WAKEUPS = "/sys/kernel/tracing/instances/wakeups"
WAKEUP = re.compile(r"-(\d+) +\[\d+\] .*: kvm_vcpu_wakeup: (wait|poll) time (\d+) ns")

PERF_LINE = re.compile(r"^\s*([\w-]+(?: excp)?)\s+(\d+)\s+[\d.]+%.*?([\d.]+)us\s*\(", re.MULTILINE)
"""A line of perf's report: name, samples, per cent of samples and time, min, max, mean."""


@attrs.frozen
class Load:
    """Workloads, and the reason of accesses to the device."""

    mixed: str
    access: str
    long_sleep: str
    long_access: str
    spin: str = "spin=2000"


X64 = Load(
    f"cpuid=307,io={DELAYS},sleep@{SLEEP}000={SLEEPS},spin=200", "io", "sleep@1000000=9", "io=9"
)
LOADS: Mapping[str, Load] = {
    "svm": X64,
    "vmx": attrs.evolve(X64, access="IO_INSTRUCTION"),
    "arm64": Load(
        f"hypercall=307,mmio={DELAYS},wfi@{SLEEP}000={SLEEPS},spin=200",
        "DABT_LOW",
        "wfi@1000000=9",
        "mmio=9",
    ),
}


def kernel_halted(bed: Bed, host: Host) -> int | None:
    """Return the nanoseconds that running VMs' vCPUs were halted, by KVM's own counters."""
    if bed.recipe == "svm-5.10":  # counts the time of polling only
        return None
    parts = ("halt_wait_ns", "halt_poll_success_ns", "halt_poll_fail_ns")
    return sum(int(host.get(f"/sys/kernel/debug/kvm/{part}")) for part in parts)


@contextmanager
def traced_wakeups(host: Host) -> Iterator[list[tuple[int, str, int]]]:
    """Trace the ends of halts; yield a list that gets (thread, how, nanoseconds) at the end.

    ``how`` is "wait" if the thread slept, else "poll". KVM itself measures the time, within the
    exits that the halts are part of.
    """
    wakeups: list[tuple[int, str, int]] = []
    host.run(f"mkdir {WAKEUPS}; echo 1 >{WAKEUPS}/events/kvm/kvm_vcpu_wakeup/enable").check()
    yield wakeups
    text = host.get(f"{WAKEUPS}/trace").decode()
    wakeups += [(int(tid), how, int(ns)) for tid, how, ns in WAKEUP.findall(text)]
    host.run(f"rmdir {WAKEUPS}").check()


@attrs.frozen
class Observed:
    """One run of a guest, as measured by each observer, and its recordings.

    ``halts`` are the lengths of its halts, in nanoseconds. In ``slept`` of them its thread slept.
    """

    vcpu: dict[str, Any]
    shown: str
    latencies: Path
    recorded: Path
    latency: dict[str, dict[str, Any]]
    plain: Counter[str]
    spent: dict[str, int]
    slow: list[dict[str, Any]]
    halted: int | None
    halts: list[int]
    slept: list[int]
    perf: str


def rows_of(watch: Watch, tid: int) -> list[dict[str, Any]]:
    """Return the rows of one thread, and those of no thread."""
    return [row for row in watch.rows() if row["tid"] in (tid, IDLE)]


@contextmanager
def perf_kvm(host: Host, bed: Bed) -> Iterator[list[str]]:
    """Let perf measure the same, where it can; yield a list that gets its report at the end."""
    report: list[str] = []
    if bed.isa != "svm":  # on ARM64 perf times the guest instead of exits; Bochs takes minutes
        yield report
        return
    words = ["perf", "kvm", "stat", "record", "-a", "-o", PERF_DATA, "sleep", "3600"]
    with host.start(words) as perf:
        wait_for_workload(host, perf)
        yield report
        perf.stop()
    words = ["perf", "kvm", "-i", PERF_DATA, "stat", "report", "--event=vmexit"]
    shown = host.run(words)
    report.append(shown.stdout + shown.stderr)


@pytest.fixture(scope="module")
def observed(bed: Bed, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    recording = ["kstats", "record", "-o", RECORDED, "--debug", "3600"]
    with (
        watching(host, *LATENCY, "--record", LATENCIES) as latency,
        watching(host, "exits", "--time", "--by", "tid") as spent,
        watching(host, "exits", "--slower-than", f"{SLOW}us", "--by", "tid,reason,cpu") as slow,
        host.start(recording) as recorder,
        traced_wakeups(host) as wakeups,
    ):
        wait_attached(latency, spent, slow)
        recorder.wait_output(ATTACHED)
        options = ("--delay", f"{DELAY}000", "--workload", LOADS[bed.isa].mixed)
        with ExitStack() as stack:
            perf = stack.enter_context(perf_kvm(host, bed))
            with guest(host, "--cpu", str(bed.pinned), *options) as report:
                halted = kernel_halted(bed, host)
                for watch in (latency, spent, slow):
                    watch.stop()
                recorder.stop().check()
    (vcpu,) = report["vms"][0]["vcpus"]
    tid = vcpu["tid"]
    (time_row,) = rows_of(spent, tid)
    latencies, recorded = (
        fetched(host, file, tmp_path_factory.mktemp(bed.recipe)) for file in (LATENCIES, RECORDED)
    )
    (plain,) = replayed(recorded, "exits", "--by", "tid,reason")
    by_reason = {IDLE if r["tid"] == IDLE else r["reason"]: r for r in rows_of(latency, tid)}
    return Observed(
        vcpu=vcpu,
        shown=latency.command.stdout,
        latencies=latencies,
        recorded=recorded,
        latency=by_reason,
        plain=Counter({row["reason"]: row["count"] for row in plain["rows"] if row["tid"] == tid}),
        spent={key.removesuffix("_ns"): n for key, n in time_row.items() if key.endswith("_ns")},
        slow=rows_of(slow, tid),
        halted=halted,
        halts=[ns for thread, _, ns in wakeups if thread == tid],
        slept=[ns for thread, how, ns in wakeups if (thread, how) == (tid, "wait")],
        perf="".join(perf),
    )


def fetched(host: Host, path: str, folder: Path) -> Path:
    """Copy one of the host's files."""
    copy = folder / Path(path).name
    copy.write_bytes(host.get(path))
    return copy


def replayed(recording: Path, *view: str) -> list[dict[str, Any]]:
    """Return the reports of a view of a recording."""
    return [
        json.loads(line)
        for line in here(*view, "--input", str(recording), "-f", "json").splitlines()
    ]


def idle_reason(bed: Bed) -> str:
    return {"svm": "hlt", "arm64": "WFx", "vmx": "HLT"}[bed.isa]


@in_all
def test_counts_are_those_of_the_guest_and_of_the_recording(bed: Bed, observed: Observed) -> None:
    counted = Counter({reason: row["count"] for reason, row in observed.latency.items()})
    counted[idle_reason(bed)] = counted.pop(IDLE)
    assert counted == observed.plain
    wanted = workloads.expected(workloads.parse(LOADS[bed.isa].mixed), bed.isa)
    assert wanted
    for (_, name), n in wanted.items():
        found = sum(m for reason, m in counted.items() if reason.partition(":")[0] == name)
        assert (name, found) == (name, n)


@in_all
def test_recorded_latencies_are_replayed_digit_by_digit(
    observed: Observed,
) -> None:
    assert here(*LATENCY, "--input", str(observed.latencies), "-f", "json") == observed.shown


@in_all
def test_a_comparison_of_the_recording_has_every_exit(observed: Observed) -> None:
    words = ("compare", str(observed.recorded), "--by", "vm", "--reasons", "-f", "json")
    found = json.loads(here(*words))
    counts = {line["reason"]: line["count"] for line in found["lines"] if "reason" in line}
    assert len(counts) > 3
    assert counts == observed.plain
    assert [subject["vcpus"] for subject in found["subjects"]] == [1]


@in_all
def test_idle_time_is_the_time_the_guest_waits(observed: Observed) -> None:
    idle = observed.latency[IDLE]
    assert idle["share"] is None
    # A sleep does not halt the vCPU if its timer expires before the guest executes the halt.
    assert len(observed.halts) > SLEEPS / 2
    halts = [*observed.halts, *[0] * (idle["count"] - len(observed.halts))]
    assert idle["p50_ns"] >= median(halts) * (1 - ERROR)
    assert idle["max_ns"] >= max(halts)
    assert idle["total_ns"] >= max(sum(halts), observed.halted or 0)


@in_all
def test_halted_time_is_that_of_kvms_tracepoint(observed: Observed) -> None:
    """Except for the time that the woken thread waits for its CPU."""
    halted = sum(observed.halts)
    assert halted > 0
    assert halted - observed.spent["waiting"] <= observed.spent["halted"] <= halted


@in_hosts("svm", "svm-6.12", "arm64", "vmx-up")
def test_halted_time_agrees_with_kvms_counters(observed: Observed) -> None:
    """KVM's counters leave out a part of those halts that ended before the thread slept."""
    assert observed.halted is not None
    assert sum(observed.slept) <= observed.halted <= sum(observed.halts)
    assert observed.halted - observed.spent["waiting"] <= observed.spent["halted"]


@in_all
def test_an_access_takes_as_long_as_the_vmm_sleeps(bed: Bed, observed: Observed) -> None:
    row = observed.latency[LOADS[bed.isa].access]
    delayed = observed.vcpu["delayed"] * 1e9
    assert observed.vcpu["delays"] == DELAYS
    # Those of the doorbell are answered at once.
    around = sorted(seconds * 1e9 for seconds in observed.vcpu["around"])[-row["count"] :]
    assert delayed <= row["total_ns"] <= sum(around)
    assert DELAY * MS * (1 - ERROR) <= row["p50_ns"] <= row["p90_ns"] <= row["max_ns"]
    assert row["p50_ns"] <= median(around) * (1 + ERROR)
    assert row["max_ns"] <= max(around)
    assert observed.spent["vmm"] + observed.spent["waiting"] >= delayed
    others = [other["min_ns"] for other in observed.latency.values() if other is not row]
    assert min(others) < DELAY * MS


@in_all
def test_slow_exits_are_reported_one_by_one(bed: Bed, observed: Observed) -> None:
    told = Counter(row["reason"] for row in observed.slow)
    assert told[LOADS[bed.isa].access] >= DELAYS
    slow = SLOW * 1000
    assert told[idle_reason(bed)] >= sum(ns > slow for ns in observed.halts) > 0
    assert all(row["duration_ns"] > slow for row in observed.slow)
    assert {row["cpu"] for row in observed.slow} == {bed.pinned}
    moments = [row["ended"] for row in observed.slow]
    assert moments == sorted(moments)


@in_hosts("svm", "svm-5.10", "svm-6.12")
def test_perf_kvm_stat_sees_the_same(bed: Bed, observed: Observed) -> None:
    """Perf has the same number of each reason, and delayed accesses take as long as they do."""
    found = {
        match[1]: (int(match[2]), float(match[3])) for match in PERF_LINE.finditer(observed.perf)
    }
    counted: Counter[str] = Counter()
    for reason, n in observed.plain.items():
        counted[reason.partition(":")[0]] += n
    load = workloads.parse(LOADS[bed.isa].mixed)
    certain = {name for _, name in workloads.expected(load, bed.isa)}
    assert certain <= found.keys(), observed.perf
    for name in certain:
        # The last exit before the VM stopped has no end.
        assert counted[name] - found[name][0] in (0, 1), name
    samples, mean = found["io"]
    seconds = samples * mean / 1e6
    assert observed.vcpu["delayed"] * 0.999 <= seconds <= sum(observed.vcpu["around"]) * 1.001


@contextmanager
def steady(host: Host, *options: str) -> Iterator[int]:
    """Run a guest until the block ends; yield the thread of its first vCPU."""
    words = [*VMM, *options, "--forever", "--timeout", "0", "--wait"]
    with host.start(words, stdin=b"\n") as vmm:
        vmm.wait_output('"ready"')
        (vm,) = json.loads(vmm.stdout.splitlines()[0])["ready"]
        yield vm["vcpus"][0]["tid"]
        vmm.stop(9)


@pytest.fixture(scope="module")
def steadily(bed: Bed, host: Host) -> tuple[Mapping[str, int], list[dict[str, Any]]]:
    """Return {name of a guest: its thread}, and reports of half a second on all of them."""
    load = LOADS[bed.isa]
    with (
        guest(host, "--workload", load.spin) as report,
        steady(host, "--cpu", "0", "--delay", "500", "--workload", load.mixed) as mixed,
        steady(host, "--cpu", "0", "--workload", load.long_sleep) as asleep,
        steady(host, "--cpu", "0", "--delay", "3000000", "--workload", load.long_access) as away,
    ):
        parked = report["vms"][0]["vcpus"][0]["tid"]
        threads = {"mixed": mixed, "asleep": asleep, "away": away, "parked": parked}
        words = ["kstats", "exits", "--time", "--by", "tid", "-f", "json", "0.5", "3600"]
        with host.start(words) as command:
            command.wait_until(lambda: enough(complete_reports(command.stdout), threads))
            reports = complete_reports(command.stdout)
    return threads, reports


def complete_reports(text: str) -> list[dict[str, Any]]:
    """Parse the reports that have arrived completely."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def enough(reports: list[dict[str, Any]], threads: Mapping[str, int]) -> bool:
    """Return whether there are twelve reports with all that the guests do.

    That is each state of the mixed guest, and a whole report of each that waits for long: on a busy
    machine reports are late and then longer than these waits.
    """
    if len(reports) < 12:
        return False
    steadily = threads, reports
    mixed = seen(steadily, "mixed")
    return all(any(share[state] for share in mixed) for state in ACTIVE) and all(
        spent_in(seen(steadily, name), state) for name, state in WAITING.items()
    )


STATES = ("guest", "kernel", "vmm", "halted", "waiting")
ACTIVE = STATES[:4]
WAITING = {"asleep": "halted", "away": "vmm"}
"""Guests that wait for seconds, and the state of that."""


def parts(report: dict[str, Any], tid: int) -> dict[str, float] | None:
    """Return the share of each state in a report; None before the thread's first event."""
    row = next((row for row in report["rows"] if row["tid"] == tid), None)
    if row is None or row["guest_ns"] is None:
        return None
    return {state: row[f"{state}_ns"] / 1e9 / report["elapsed"] for state in STATES}


def seen(
    steadily: tuple[Mapping[str, int], list[dict[str, Any]]], name: str
) -> list[dict[str, float]]:
    """Return the shares of one thread in all reports except the first that has them."""
    threads, reports = steadily
    found = [p for p in (parts(report, threads[name]) for report in reports) if p]
    return found[1:]


def spent_in(shares: list[dict[str, float]], state: str) -> bool:
    """Return whether a thread spent a whole report in a state."""
    return any(share[state] > 0.99 for share in shares)


@in_some
@pytest.mark.parametrize("name", ["mixed", "asleep", "away", "parked"])
def test_the_states_add_up_to_the_elapsed_time(
    steadily: tuple[Mapping[str, int], list[dict[str, Any]]], name: str
) -> None:
    shares = seen(steadily, name)
    assert len(shares) > 5
    for found in shares:
        assert sum(found.values()) == pytest.approx(1, abs=0.01)


@in_some
def test_a_mixed_guest_has_all_states(
    steadily: tuple[Mapping[str, int], list[dict[str, Any]]],
) -> None:
    """In all reports together: on a busy machine one report may cover only a part of a lap."""
    reports = seen(steadily, "mixed")
    for state in ACTIVE:
        assert sum(found[state] for found in reports) > 0


@in_some
@pytest.mark.parametrize(("name", "state"), WAITING.items())
def test_a_vcpu_can_spend_a_whole_report_in_one_state(
    steadily: tuple[Mapping[str, int], list[dict[str, Any]]], name: str, state: str
) -> None:
    """Waits take a second and more, reports half of one: some reports have no event."""
    assert spent_in(seen(steadily, name), state)


@in_some
def test_the_state_of_a_vcpu_without_events_is_where_it_sleeps(
    steadily: tuple[Mapping[str, int], list[dict[str, Any]]],
) -> None:
    """Its thread has been waiting in the VMM since before kstats started."""
    threads, reports = steadily
    for report in reports:
        found = parts(report, threads["parked"])
        assert found
        assert found["vmm"] == pytest.approx(1, abs=0.01)


def run_delay(host: Host, tid: int) -> int:
    """Return the nanoseconds that a thread was runnable but not running, by the scheduler."""
    return int(host.get(f"/proc/{tid}/schedstat").split()[1])


@in_hosts("svm", "arm64")
def test_two_vcpus_that_compete_wait_for_each_other(bed: Bed, host: Host) -> None:
    spin = LOADS[bed.isa].spin
    with watching(host, "exits", "--time", "--by", "tid") as watch:
        wait_attached(watch)
        with steady(host, "--cpu", "1", "--vcpus", "2", "--workload", spin) as tid:
            waits = f"$(cut -d ' ' -f 2 /proc/{tid}/schedstat)"
            host.run(f"until [ {waits} -gt {2500 * MS} ]; do sleep 0.5; done").check()
            # A thread that is stopped does not wait for its CPU: both counters stay as they are.
            states = f"cat /proc/{tid}/task/*/status | grep ^State"
            stop = f"kill -STOP {tid}; while {states} | grep -qv stopped; do sleep 0.1; done"
            host.run(stop).check()
            waited = run_delay(host, tid)
            watch.stop()
    (row,) = rows_of(watch, tid)
    assert row["waiting_ns"] == pytest.approx(waited, rel=0.1)
    assert row["guest_ns"] > 1000 * MS
