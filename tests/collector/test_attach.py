"""Programs attached to the running kernel: counts, cleanup, permissions and errors."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kstats import arch as arches
from kstats.arch.base import SlotRange
from kstats.collector.live import Collector
from kstats.collector.percpu import PER_CPU, Entries, ExitsByCpu
from kstats.collector.target import Target
from kstats.errors import LoadError, UnsupportedHostError
from kstats.host import Host
from kstats.loader import bcc_python, syscall, worker
from kstats.loader.answers import Refusal
from kstats.loader.plan import Attachment
from tests import trees
from tests.collector import kernel
from tests.collector.native import NATIVE, SOURCE, target
from tests.samples import counts

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
UNUSED_CALL = 100_003
"""A system call that does not exist and no program makes: it fails with ENOSYS, and is traced."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(target(), PER_CPU) as made:
        yield made


def gone(ids: dict[str, set[int]]) -> bool:
    """Return whether the kernel frees these programs and links within seconds."""
    deadline = time.monotonic() + 60
    while any(kernel.alive(ids).values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class CallReturns(Entries):
    """Counts returns of system calls as entries."""

    attachments = (Attachment("sys_exit", "on_entry", "raw"),)


class Calls(ExitsByCpu):
    """Counts system calls as exits: events that really fire on this machine."""

    attachments = (Attachment("sys_enter", "on_exit"),)


CALLS = (CallReturns(), Calls())


@pytest.mark.parametrize("slots", [(SlotRange(UNUSED_CALL - 3, 8),), (SlotRange(0, 2),)])
def test_real_events_are_counted_to_the_unit_and_on_their_cpu(
    slots: tuple[SlotRange, ...],
) -> None:
    """With a counter of their own, and with none."""
    cpu = max(os.sched_getaffinity(0))
    machine = target(NATIVE._replace(sources=(SOURCE._replace(slots=slots),)))
    allowed = os.sched_getaffinity(0)
    with Collector(machine, CALLS) as collector:
        try:
            os.sched_setaffinity(0, {cpu})
            libc = ctypes.CDLL(None)
            for _ in range(1009):
                libc.syscall(UNUSED_CALL)
        finally:
            os.sched_setaffinity(0, allowed)
        sample = collector.sample()
    assert counts(sample.exits)["native", UNUSED_CALL] == {(cpu, 0): 1009}
    assert sample.entries[cpu] >= 1009
    assert sample.code_dropped == {}


def test_a_sample_is_what_happened_since_the_one_before(collector: Collector) -> None:
    on_entry, on_exit = (collector.loaded.programs[name] for name in ("on_entry", "on_exit"))
    kernel.fire(on_exit, 0, 1)
    collector.sample()
    for _ in range(3):
        kernel.fire(on_entry)
    kernel.fire(on_exit, 0, 2)
    kernel.fire(on_exit, 0, 99)
    sample = collector.sample()
    assert sample.entries == {0: 3}
    assert counts(sample.exits) == {("native", 2): {(0, 0): 1}, ("native", 99): {(0, 0): 1}}
    assert counts(collector.sample().exits) == {}


def test_the_elapsed_time_is_that_between_two_samples(collector: Collector) -> None:
    start = time.monotonic()
    collector.sample()
    time.sleep(0.05)
    before = time.time()
    sample = collector.sample()
    assert 0.05 <= sample.elapsed <= time.monotonic() - start
    assert before <= sample.time <= time.time()


def test_two_collectors_count_for_themselves(collector: Collector) -> None:
    with Collector(target(), PER_CPU) as other:
        kernel.fire(collector.loaded.programs["on_exit"], 0, 1)
        for _ in range(2):
            kernel.fire(other.loaded.programs["on_exit"], 0, 1)
        assert counts(other.sample().exits) == {("native", 1): {(0, 0): 2}}
    assert counts(collector.sample().exits) == {("native", 1): {(0, 0): 1}}


def test_closing_detaches_everything() -> None:
    collector = Collector(target(), PER_CPU)
    ids = kernel.held()
    assert {kind: len(numbers) for kind, numbers in ids.items()} == {"prog": 2, "link": 2}
    assert kernel.alive(ids) == ids
    collector.close()
    collector.close()
    assert kernel.held() == {"prog": set(), "link": set()}
    assert gone(ids)


def test_without_attaching_there_are_programs_and_no_links() -> None:
    with target().load(PER_CPU, attach=False):
        ids = kernel.held()
    assert {kind: len(numbers) for kind, numbers in ids.items()} == {"prog": 2, "link": 0}
    assert gone(ids)


HOLD = """
import sys, time
from kstats.collector.live import Collector
from kstats.collector.percpu import PER_CPU
from tests.collector.native import target
with Collector(target(), PER_CPU):
    print("attached", flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process that has attached and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "attached\n"
            yield process
        finally:
            process.kill()


def test_programs_are_detached_when_the_process_is_killed(holder: subprocess.Popen[str]) -> None:
    """The descriptors are its own alone: no pin, no child that has them too."""
    ids = kernel.held(holder.pid)
    assert len(ids["link"]) == 2
    holder.send_signal(signal.SIGKILL)
    holder.wait(300)
    assert gone(ids)


def test_the_parent_keeps_no_compiler_and_no_child(holder: subprocess.Popen[str]) -> None:
    status = Path(f"/proc/{holder.pid}/status").read_text(encoding="ascii")
    (resident,) = (int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    assert resident < 60 * 1024
    assert "libbcc" not in Path(f"/proc/{holder.pid}/maps").read_text(encoding="ascii")
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
    assert children.read_text(encoding="ascii") == ""


def test_the_kernel_reports_the_programs(collector: Collector) -> None:
    infos = {info.name: info for info in collector.loaded.program_infos()}
    assert set(infos) == {"on_entry", "on_exit"}
    for info in infos.values():
        assert 0 < info.verified_instructions < 1000
        assert info.misses == 0
    assert collector.loaded.misses() == 0
    assert collector.loaded.probe in {"raw2", "raw3"}


def test_maps_are_as_large_as_the_c_declares_them(collector: Collector) -> None:
    counts, odd = collector.loaded.maps["counts"], collector.loaded.maps["odd_codes"]
    room = max(1, *Host().possible_cpus()) + 1
    assert (counts.key_size, counts.value_size, counts.max_entries) == (4, room * (3 + 8) * 8, 1)
    assert (odd.key_size, odd.value_size, odd.max_entries) == (16, 8, 1024)
    assert odd.items() == []


@pytest.mark.parametrize(("tracepoint", "args"), [("sys_enter", 2), ("sys_exit", 2)])
def test_the_number_of_arguments_of_a_tracepoint_is_found(tracepoint: str, args: int) -> None:
    before = kernel.held()
    assert syscall.raw_tracepoint_args(tracepoint) == args
    assert kernel.held() == before


def test_a_tracepoint_that_is_not_there_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        syscall.raw_tracepoint_args("kstats_no_such_tracepoint")


def test_without_the_kvm_module_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_EXIT", "kstats_no_such_tracepoint")
    with pytest.raises(Refusal) as caught:
        worker.exit_args()
    assert caught.value.answer == {
        "error": "UnsupportedHostError",
        "message": "this kernel has no kvm_exit tracepoint: the kvm module is not loaded",
        "hint": "load KVM: modprobe kvm_intel, or modprobe kvm_amd",
    }


def broken(tmp_path: Path, old: str, new: str) -> Target:
    """Return a target whose C file has ``new`` in place of ``old``."""
    assert NATIVE.bpf
    file = tmp_path / "broken.c"
    file.write_text(NATIVE.bpf.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return target(NATIVE._replace(bpf=file))


def test_an_error_of_the_compiler_names_file_and_line(tmp_path: Path) -> None:
    before = kernel.held()
    target = broken(tmp_path, "return DECODED;", "return nothing;")
    line = (tmp_path / "broken.c").read_text(encoding="utf-8").split("nothing")[0].count("\n") + 1
    with pytest.raises(LoadError, match="the BPF program could not be compiled") as caught:
        target.load(PER_CPU)
    assert caught.value.complaint.startswith(f"bpf/broken.c:{line}:9: error: use of undeclared")
    assert kernel.held() == before


def test_the_verifiers_complaint_is_quoted(tmp_path: Path) -> None:
    target = broken(tmp_path, "return DECODED;", "return bpf_override_return(ctx, 0);")
    with pytest.raises(LoadError, match="on_exit: ") as caught:
        target.load(PER_CPU)
    assert "cannot use helper bpf_override_return" in caught.value.complaint


def test_a_failed_attachment_leaves_nothing_behind(tmp_path: Path) -> None:
    """The verifier cannot know how many arguments the tracepoint has."""
    before = kernel.held()
    with pytest.raises(LoadError, match="could not be attached"):
        broken(tmp_path, "arg[1];", "arg[1] + ((u64 *)ctx)[7];").load(PER_CPU)
    assert kernel.held() == before


def test_every_probe_that_fails_is_reported(tmp_path: Path) -> None:
    """The kernel is another architecture's; each probe reports why it is not supported."""
    ours = arches.for_machine(Host().machine)
    assert ours
    other = trees.x64(tmp_path, "kvm_amd") if ours.name == "arm64" else trees.arm64(tmp_path)
    with pytest.raises(UnsupportedHostError, match="offers no way to read exits: raw") as caught:
        Target.find(other).load(PER_CPU)
    assert "classic: " in str(caught.value)


def test_offsets_of_structs_are_those_of_the_kernels_interface() -> None:
    """Read by the child's own code where bcc is, and held against layouts that cannot change."""
    code = (
        "import sys; sys.path.append(sys.argv[1]); import bcc\n"
        "from kstats.loader.btf import Btf\n"
        "print(*map(Btf(bcc.lib, ['kvm_intel', 'kvm_amd']).offset, sys.argv[2:]))"
    )
    # include/uapi/linux/perf_event.h: plain, in a nameless union, a bit field, behind a typedef
    layouts = {
        "perf_event_attr.config": 8,
        "perf_event_attr.wakeup_events": 48,
        "perf_event_attr.exclude_user": 40,
        "bpf_insn.imm": 4,
        "timespec64.tv_nsec": 8,
        "kvm_vcpu.kvm": 0,
        "kvm_vcpu.vcpu_id": 36,
    }
    command = [bcc_python.python_with_bcc(), "-P", "-c", code, str(ROOT), *layouts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert dict(zip(layouts, map(int, done.stdout.split()), strict=True)) == layouts


def test_the_classic_probe_reads_the_record_at_the_formats_offsets(tmp_path: Path) -> None:
    """In a mount namespace of its own, where tracefs is mounted whether or not it is here."""
    arch = arches.for_machine(Host().machine)
    assert arch
    script = tmp_path / "classic.py"
    script.write_text(CLASSIC, encoding="utf-8")
    mount = "mount -t tracefs nodev /sys/kernel/tracing && exec $0 $1"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["classic", "True", "[]"]


CLASSIC = """
import re
from kstats.collector.live import Collector
from kstats.collector.percpu import PER_CPU, Entries, ExitsByCpu
from kstats.collector.target import Target
from kstats.host import Host
from kstats import arch

ours = arch.for_machine(Host().machine)
source = ours.sources[0]
probes = tuple(probe for probe in source.probes if probe.name == "classic")
text = Host().event_format("kvm/kvm_exit")
target = Target(Host(), ours, source._replace(modules=()), probes)
with Collector(target, PER_CPU) as collector:
    loaded = collector.loaded
    print(loaded.probe)
    (probe,) = probes
    print(all(
        f" {field.field};\\toffset:{loaded.numbers[field.define]};" in text
        for field in probe.record
    ))
    print(list(collector.sample().exits))
"""
