"""``kstats -v`` in every emulated KVM host, around guests with an exactly known number of exits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import attrs
import pytest

from kstats import arch as arches
from lab.hosts import Host, find
from lab.vmm.workload import parse
from tests.live.conftest import Bed
from tests.live.guests import at_any_time, expected, guest
from tests.live.kstats import ExitId, Watch, wait_attached, wait_for_workload, watching

pytestmark = pytest.mark.host

# The column of each kind of exit, from the documents that define the columns.
COLUMN_OF: Mapping[str, Mapping[str, str]] = {
    "x64": {
        "cpuid": "inst_cpuid",
        "io": "inst_io",
        "in": "inst_io",
        "rdmsr": "msr_rd",
        "wrmsr": "msr_wr",
        "hypercall": "inst_vmcall",
        "hlt": "inst_hlt",
        "cr0": "ctrl_reg",
        "xsetbv": "inst_xsetbv",
    },
    "arm64": {"smc": "smc_inst", "sys64": "sys_inst", "wfi": "wfx_inst"},
}


@attrs.frozen
class Observed:
    """One run of a guest, as measured by each observer.

    ``watch`` loads the prebuilt object, ``bcc`` compiles the same C in the host.
    """

    watch: Watch
    classic: Watch
    bcc: Watch
    perf: int
    kernel: int
    vcpus: int


def kernel_exits(host: Host) -> int:
    """Return the kernel's own count of exits, of running VMs."""
    return int(host.get("/sys/kernel/debug/kvm/exits"))


def perf_count(text: str) -> int:
    """Return the count in the output of ``perf stat -x,``."""
    return int(next(line for line in text.splitlines() if "kvm:kvm_exit" in line).split(",")[0])


PERF = ("perf", "stat", "-x,", "-a", "-e", "kvm:kvm_exit", "sleep", "3600")


@pytest.fixture(scope="module")
def observed(bed: Bed, host: Host) -> Observed:
    with (
        watching(host, "--total") as watch,
        watching(host, "--probe", "classic") as classic,
        watching(host, "--loader", "bcc") as bcc,
    ):
        wait_attached(watch, classic, bcc)
        with host.start(PERF).started() as perf:
            wait_for_workload(host, perf)
            with guest(host, "--cpu", str(bed.pinned), "--workload", bed.workload):
                kernel = kernel_exits(host)
                watch.stop()
                classic.stop()
                bcc.stop()
                counted = perf_count(perf.stop().stderr)
    return Observed(watch, classic, bcc, counted, kernel, vcpus=1)


def test_doctor_reports_success_and_known_names(bed: Bed, host: Host) -> None:
    said = host.run(["kstats", "doctor"]).check().stdout
    assert "kstats cpu works here" in said
    assert f"loaded by prebuilt and attached through {bed.probe}" in said
    assert re.search(r"ok\s+names", said)


def test_the_tables_have_every_name_of_the_running_kernel(host: Host) -> None:
    text = host.get("/sys/kernel/tracing/events/kvm/kvm_exit/format").decode()
    named = set(re.findall(r'\{[^{}"]*,\s*"([^"]+)"\s*\}', text))
    isas = [isa for arch in arches.arches() for isa in arch.isas]
    known = {reason.name for isa in isas for reason in isa.reasons.values()}
    known.update(name for isa in isas for name in isa.flags.values())
    assert len(named) > 30
    # TRAP is not a reason: it means that the exception class is.
    assert named - known <= {"TRAP"}


def test_every_reason_is_counted_to_the_unit(bed: Bed, observed: Observed) -> None:
    counted = observed.watch.exits(bed.pinned)
    wanted = expected(bed.workload, bed.isa)
    certain = {exit_: n for exit_, n in counted.items() if exit_ in wanted}
    assert certain == wanted


def test_nothing_else_is_counted(bed: Bed, observed: Observed) -> None:
    allowed = set(expected(bed.workload, bed.isa)) | at_any_time(bed.workload, bed.isa)
    assert set(observed.watch.exits()) <= allowed


def test_other_cpus_rows_stay_empty(bed: Bed, observed: Observed) -> None:
    others = {row["cpu"] for row in observed.watch.rows()} - {bed.pinned}
    assert len(others) == find(bed.recipe).cpus - 1
    assert all(sum(observed.watch.exits(cpu).values()) == 0 for cpu in others)


def test_columns_count_what_their_documents_say(bed: Bed, observed: Observed) -> None:
    column_of = COLUMN_OF["arm64" if bed.isa == "arm64" else "x64"]
    wanted: Counter[str] = Counter()
    for step in parse(bed.workload):
        if step.kind in column_of:
            wanted[column_of[step.kind]] += step.count
    if "inst_io" in wanted:
        # The guest signals the VMM with an OUT: see lab/vmm.
        wanted["inst_io"] = expected_io(bed)
    sums = observed.watch.sums(bed.pinned)
    assert {column: sums[column] for column in wanted} == wanted


def expected_io(bed: Bed) -> int:
    code = {"vmx": 30, "svm": 0x7B}[bed.isa]
    return expected(bed.workload, bed.isa)[bed.isa, code, 0]


def test_entries_equal_exits_once_no_vcpu_runs(observed: Observed) -> None:
    sums = observed.watch.sums()
    assert sums["vm_entry"] == sums["vm_exit"] > 0


def test_columns_sum_to_exits(observed: Observed) -> None:
    for row in observed.watch.rows():
        columns = [
            n for key, n in row.items() if key not in ("cpu", "vm_entry", "vm_exit", "exits")
        ]
        assert sum(columns) == row["vm_exit"] == sum(e["count"] for e in row["exits"])


def test_total_is_the_kernels_own_count(observed: Observed) -> None:
    assert observed.watch.sums()["vm_exit"] == observed.kernel


def test_classic_tracepoint_gives_the_same_numbers(observed: Observed) -> None:
    assert by_cpu(observed.classic) == by_cpu(observed.watch)


def test_both_loaders_give_the_same_numbers(bed: Bed, observed: Observed) -> None:
    assert loaders(observed.watch) == loaders(observed.classic) == ["prebuilt"]
    assert loaders(observed.bcc) == ["bcc"]
    assert f"{bed.isa} exits through {bed.probe}" in observed.bcc.command.stderr
    assert by_cpu(observed.bcc) == by_cpu(observed.watch)


def loaders(watch: Watch) -> list[str]:
    """Return the loaders that kstats names."""
    return re.findall(r"loaded by (\w+)", watch.command.stderr)


def by_cpu(watch: Watch) -> dict[int, Counter[ExitId]]:
    return {row["cpu"]: watch.exits(row["cpu"]) for row in watch.rows()}


def test_perf_beside_kstats_counts_every_exit(observed: Observed) -> None:
    assert observed.perf == observed.kernel


def test_nothing_was_dropped(observed: Observed) -> None:
    gaps = [(r["code_dropped"], r["unsupported_isa"], r["missed"]) for r in observed.watch.reports]
    assert gaps == [(0, 0, 0)] * len(gaps)
