"""Traces as people paste them: from mails, bug reports, commits and manuals."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats.errors import KstatsError
from kstats.importers import Decoded, UnrecognizedError, decode
from kstats.model import Sample
from kstats.views.exits import ExitsView, count_by

DATA = Path(__file__).parent.parent / "data" / "pasted"

Reasons = dict[str, int]

RIGHT: dict[str, tuple[str, str, Reasons]] = {
    "wiki-2009-vmx-lowercase": ("ftrace", "vmx", {"APIC_ACCESS": 1, "IO_INSTRUCTION": 1, "HLT": 1}),
    "wiki-2009-vmx-hlt-first": (
        "ftrace",
        "vmx",
        {"HLT": 2, "CPUID": 1, "EXTERNAL_INTERRUPT": 1, "EPT_VIOLATION": 1},
    ),
    "mail-quoted-dirty-ring": ("ftrace", "vmx", {"EPT_VIOLATION": 2}),
    "commit-wrapped-lines": ("ftrace", "vmx", {"EXTERNAL_INTERRUPT": 1, "IO_INSTRUCTION": 1}),
    "rt-flags-mail-wrapped": ("ftrace", "vmx", {"EXTERNAL_INTERRUPT": 2}),
    "perf-prof": ("perf", "vmx", {"EXTERNAL_INTERRUPT": 2}),
    "perf-script-no-comm": ("perf", "vmx", {"TRIPLE_FAULT": 1}),
    "trimmed-no-rip": ("ftrace", "vmx", {"EXTERNAL_INTERRUPT": 1, "DR_ACCESS": 1, "HLT": 1}),
    "svm-no-prefix-smm": ("ftrace", "svm", {"npf": 1, "GP excp": 1}),
    "svm-5.8-anonymous": ("ftrace", "svm", {"npf": 3}),
    "svm-shutdown-vcpu112": ("ftrace", "svm", {"shutdown": 1}),
    "arm64-aarch32-id-regs": ("ftrace", "arm64", {"IRQ": 1, "SYS64": 1}),
    "patch-reason-only": ("ftrace", "vmx", {"MSR_WRITE": 1, "EXTERNAL_INTERRUPT": 1}),
    "svm-gp-loop": ("ftrace", "svm", {"msr:rd": 1, "GP excp": 1}),
    "mail-nbsp": ("ftrace", "svm", {"msr:wr": 1}),
    "perf-script-comm-time-only": ("perf", "vmx", {"VMCALL": 1, "PREEMPTION_TIMER": 1}),
    "trace-cmd-x86-tsc": ("ftrace", "vmx", {"HLT": 1, "MSR_WRITE": 1}),
    "trace-cmd-failed-to-parse": ("ftrace", "vmx", {"EPT_VIOLATION": 1, "HLT": 1}),
    "kernel-6.14-requests": ("ftrace", "vmx", {"MSR_WRITE": 1, "TDCALL": 1}),
    "bpftrace-printf": ("printf", "vmx", {"MSR_WRITE": 1, "EXTERNAL_INTERRUPT": 1}),
    "perf-trace": ("perf", "vmx", {"HLT": 1, "MSR_WRITE": 1}),
    "vmx-flag-bits": (
        "ftrace",
        "vmx",
        {"EXTERNAL_INTERRUPT+0x8000000": 1, "EPT_VIOLATION+0x4000000": 1, "HLT": 1},
    ),
    "vmx-failed-entry-only": ("ftrace", "vmx", {"INVALID_STATE+FAILED_VMENTRY": 2}),
    "tracecmd-unknown-failed-entry": ("ftrace", "vmx", {"INVALID_STATE+FAILED_VMENTRY": 2}),
    "tracecmd-latency": ("ftrace", "vmx", {"HLT": 1}),
    "perf-script-no-time-no-cpu": ("perf", "vmx", {"HLT": 2}),
    "ftrace-two-comms": ("ftrace", "vmx", {"HLT": 2, "MSR_WRITE": 1}),
    "ftrace-win10-names": ("ftrace", "vmx", {"HLT": 2, "MSR_WRITE": 1}),
    "perf-script-fc-no-cpu": ("perf", "vmx", {"HLT": 2}),
    "svm-kernel-names": (
        "ftrace",
        "svm",
        {"cpuid": 1, "idle-halt": 1, "hypercall": 1, "vmgexit": 1, "invlpgb": 1},
    ),
    "perf-two-vms-pids": ("perf", "vmx", {"HLT": 3}),
}
"""Of each file its format, its ISA, and its exits by reason."""

ASK = ("svm-unknown-first", "vmx-unknown-75", "vmx-tdx-unknown-77")
"""Files that have only numbers, which may be of any ISA."""


def decoded(data: bytes | str, isa: str | None = None) -> tuple[Decoded, Sample]:
    found = decode(io.BytesIO(data if isinstance(data, bytes) else data.encode()), isa=isa)
    (sample,) = found
    return found, sample


def reasons(sample: Sample) -> Reasons:
    return {str(reason): n for (reason,), n in count_by(sample, ("reason",)).items()}


def by(sample: Sample, *axes: str) -> Counter[tuple[object, ...]]:
    return Counter[tuple[object, ...]](count_by(sample, axes).elements())


def test_every_file_has_a_right_answer() -> None:
    names = {path.stem for path in DATA.glob("*.txt")}
    assert names == {*RIGHT, *ASK, "riscv-trace"}


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_it_is_understood(name: str) -> None:
    found, sample = decoded((DATA / f"{name}.txt").read_bytes())
    assert (found.format, found.isa, reasons(sample)) == RIGHT[name]
    assert not found.shortfall
    # The first line of one file is prose.
    assert found.problems.count == (name == "mail-quoted-dirty-ring")


@pytest.mark.parametrize("name", ASK)
def test_numbers_alone_need_an_isa(name: str) -> None:
    data = (DATA / f"{name}.txt").read_bytes()
    with pytest.raises(UnrecognizedError, match="cannot detect the ISA"):
        decoded(data)
    assert sum(reasons(decoded(data, isa="svm")[1]).values()) == data.count(b"kvm_exit")


FOREIGN = {
    "RISC-V": "kvm_exit: SEPC:0x80001234, SCAUSE:0x15, STVAL:0x0, HTVAL:0x40000000, HTINST:0x0",
    "s390": "kvm_s390_sie_exit: 00[0705c001-80000000]: exit sie icptcode 4 (Instruction)",
    "POWER": "kvm_exit: exit=SYSCALL | pc=0xc0 | msr=0x8000 | dar=0x0 | srr1=0x0 | last_inst=0x0",
    "MIPS or LoongArch": "kvm_exit: [Idle]PC: 0x9000000000223480",
}


@pytest.mark.parametrize(("name", "event"), FOREIGN.items())
def test_a_trace_of_another_architecture_is_named(name: str, event: str) -> None:
    with pytest.raises(UnrecognizedError, match=f"this is a trace of {name}, and no backend"):
        decoded(f"  qemu-188     [001] d....   410.544665: {event}\n")


# The CPU, process, thread, vCPU and name that a line contains, and its time.
EXIT = "vcpu 3 reason HLT rip 0x1 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0"
Q = "?"


@pytest.mark.parametrize(
    ("prefix", "where", "time"),
    [
        # ftrace and trace-cmd
        ("    kvm-1234  [002] 11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("    kvm-1234  [002] d..1.  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("    kvm-1234  ( 1200) [002] dNh2.  11.5: kvm_exit: ", (2, 1200, 1234, "kvm"), 11.5),
        ("    kvm-1234  (-----) [002] d...  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("  <...>-1234  [002] d...  11.500000: kvm_exit: ", (2, Q, 1234, Q), 11.5),
        ("  x86-64-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "x86-64"), 11.5),
        ("    kvm-1234    2d..1   12us : kvm_exit: ", (2, Q, 1234, "kvm"), 12e-6),
        ("    kvm-1234    2d..1   12us+: kvm_exit: ", (2, Q, 1234, "kvm"), 12e-6),
        ("CPU 3/KV-1234    2d..1   12us : kvm_exit: ", (2, Q, 1234, Q), 12e-6),
        ("    kvm-1234   12dNh2. 11.500000: kvm_exit: ", (12, Q, 1234, "kvm"), 11.5),
        ("    kvm-1234  [002] 98765432109876: kvm_exit: ", (2, Q, 1234, "kvm"), 0),
        ("    kvm-1234  [002]  kvm_exit: ", (2, Q, 1234, "kvm"), 0),
        ("    kvm-1234  11.5: kvm_exit: ", (Q, Q, 1234, "kvm"), 11.5),
        ("    [002]  11.5: kvm_exit: ", (2, Q, Q, Q), 11.5),
        ("  CPU 3/KVM-1234  [002]  11.5:  kvm_exit:        ", (2, Q, 1234, Q), 11.5),
        ("host.dat:    kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("    kvm-1234  [002]  11.5: (+12) kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        # perf script
        ("  kvm  1234 [002]  11.500000:  kvm:kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("  kvm  1200/1234 [002] 11.500000000: kvm:kvm_exit: ", (2, 1200, 1234, "kvm"), 11.5),
        ("  kvm  1234 [002]  11.500000:          1 kvm:kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("  kvm  1234          1 kvm:kvm_exit: ", (Q, Q, 1234, "kvm"), 0),
        ("  kvm  1234 kvm:kvm_exit: ", (Q, Q, 1234, "kvm"), 0),
        ("  CPU 3/KVM  1234 11.5: kvm:kvm_exit: ", (Q, Q, 1234, Q), 11.5),
        ("  CPU 3/KVM 11.5: kvm:kvm_exit: ", (Q, Q, Q, Q), 11.5),
        ("  fc_vcpu 3  1234 kvm:kvm_exit: ", (Q, Q, 1234, Q), 0),
        ("  fc_vcpu 3 11.5: kvm:kvm_exit: ", (Q, Q, Q, Q), 11.5),
        ("  fc_vcpu 3 kvm:kvm_exit: ", (Q, Q, Q, Q), 0),
        ("  worker 1 11.5: kvm:kvm_exit: ", (Q, Q, Q, Q), 11.5),
        ("  1234 [002] 11.5: kvm:kvm_exit: ", (2, Q, 1234, Q), 11.5),
        ("  :1234  1234 [002] 11.5: kvm:kvm_exit: ", (2, Q, 1234, Q), 11.5),
        ("  :-1    -1 [002] 11.5: kvm:kvm_exit: ", (2, Q, Q, Q), 11.5),
        ("kvm:kvm_exit: ", (Q, Q, Q, Q), 0),
        ("  kvm  1234 [002]  11.5: ", (2, Q, 1234, "kvm"), 11.5),  # -F without event
        ("  kvm_e  1234 [002]  11.5: ", (2, Q, 1234, "kvm_e"), 11.5),
        ("  kvm-vcpu-3 11.5: kvm:kvm_exit: ", (Q, Q, Q, Q), 11.5),
        ("  kvm-vcpu-3  1234 [002] 11.5: kvm:kvm_exit: ", (2, Q, 1234, Q), 11.5),
        # perf trace
        ("     0.250 CPU 3/KVM/1234 kvm:kvm_exit:", (Q, Q, 1234, Q), 0.00025),
        ("     0.250 (         ): kvm/1234 kvm:kvm_exit:", (Q, Q, 1234, "kvm"), 0.00025),
        # what mail, terminals and logs add
        ("> >    kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("|   kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("-->  kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("+    kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("  17  kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("  17 | kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("&gt; &lt;...&gt;-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, Q), 11.5),
        ("[  9.123456]  kvm-1234    2d..1 11500000us : kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("  17: kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("t.txt:17:  kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("2026-01-31 12:00:01.25  kvm-1234  [002]  11.5: kvm_exit: ", (2, Q, 1234, "kvm"), 11.5),
        ("Jan 31 12:00:01 h kernel: [  9.1]  kvm-1234  [002] 11.5: kvm_exit: ",
         (2, Q, 1234, "kvm"), 11.5),
        ("\u00a0\u00a0kvm-1234\u00a0[002]\u00a011.5:\u00a0kvm_exit:\u00a0", (2, Q, 1234, "kvm"),
         11.5),
        ("\tkvm-1234\t[002]\t11.5:\tkvm_exit:\t", (2, Q, 1234, "kvm"), 11.5),
        ("\x1b[32mkvm-1234\x1b[0m [002] 11.5: \x1b[1mkvm_exit\x1b[0m: ", (2, Q, 1234, "kvm"), 11.5),
        # impossible threads and CPUs
        ("  kvm-0  [002]  11.5: kvm_exit: ", (2, Q, Q, Q), 11.5),
        ("  kvm-9999999999  [002]  11.5: kvm_exit: ", (2, Q, Q, Q), 11.5),
        ("  kvm-1234  [99999]  11.5: kvm_exit: ", (Q, Q, 1234, "kvm"), 11.5),
        ("  kvm  9999999999/1234 [002]  11.5: kvm:kvm_exit: ", (2, Q, Q, Q), 11.5),
    ],
)  # fmt: skip
def test_what_precedes_an_event(prefix: str, where: tuple[object, ...], time: float) -> None:
    found, sample = decoded(f"{prefix}{EXIT}\n")
    assert by(sample, "cpu", "pid", "tid", "vm", "vcpu", "reason") == {
        (*where, Q if where[2] == Q else 3, "HLT"): 1
    }
    assert sample.time == pytest.approx(time)
    assert found.problems.count == 0


@pytest.mark.parametrize(
    ("text", "isa", "reason"),
    [
        ("reason HLT", "vmx", "HLT"),
        ("reason hlt info1 0x0", "svm", "hlt"),
        ("reason halt rip 0x1", "vmx", "HLT"),
        ("reason ext_irq rip 0x1", "vmx", "EXTERNAL_INTERRUPT"),
        ("reason UNKNOWN (75)", "vmx", "NOTIFY"),
        ("reason HLT \\", "vmx", "HLT"),
        ("reason HLT ri", "vmx", "HLT"),  # cut off by a screen
        ("reason 0x199 rip 0x1", "vmx", "vmx:0x199"),
        ("reason UNKNOWN (75) rip 0x1 info 0 0", "vmx", "NOTIFY"),
        ("reason EXIT_MSR rip 0x1 info 1 0", "svm", "msr:wr"),
        ("reason msr rip 0x1", "svm", "msr"),
        ("reason EPT_VIOLATION FAILED_VMENTRY 0x4000000 rip 0x1", "vmx",
         "EPT_VIOLATION+FAILED_VMENTRY+0x4000000"),
        ("exit_reason=2147483681 guest_rip=0x1 isa=1", "vmx", "INVALID_STATE+FAILED_VMENTRY"),
        ("[FAILED TO PARSE] exit_reason=124 guest_rip=0x1 isa=2 info1=0x1", "svm", "msr:wr"),
        ("exit_reason=18446744073709551615 isa=2", "svm", "invalid_guest_state"),
        ("TRAP: HSR_EC: 0x0018 (SYS64), PC: 0x0000000000401ec4", "arm64", "SYS64"),
        ("HSR_EC: 0x0024, PC: 0x80000124", "arm64", "DABT_LOW"),
        ("IRQ: HSR_EC: 0x0000 (UNKN", "arm64", "IRQ"),
        ("ret=0x2 esr_ec=0x24 vcpu_pc=0x80000124", "arm64", "DABT_LOW"),
        ("ret=2147483648 esr_ec=0 vcpu_pc=0x80000124", "arm64", "IRQ"),
    ],
)  # fmt: skip
def test_the_text_of_an_exit(text: str, isa: str, reason: str) -> None:
    line = f"kvm-1 [000] 1.0: kvm_exit: {text}\n"
    assert reasons(decoded(line, isa=isa)[1]) == {reason: 1}


@pytest.mark.parametrize(
    ("text", "isa"),
    [
        ("kvm:kvm_exit(exit_reason: 12, guest_rip: 1, isa: 1, vcpu_id: 0)", "vmx"),
        ("kvm:kvm_exit(exit_reason: 12, guest_rip: 1, isa: 2, vcpu_id: 0)", "svm"),
        ("kvm:kvm_exit(ret: 2, esr_ec: 36, vcpu_pc: 1)", "arm64"),
    ],
)
def test_fields_name_their_isa(text: str, isa: str) -> None:
    found, _ = decoded(f"  0.250 kvm/1234 {text}\n")
    assert (found.isa, found.problems.notes()) == (isa, ())


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("isa=1 cpu=2 pid=1200 tid=1234 vcpu=3 exit_reason=12", (2, 1200, 1234, 3)),
        ("isa=3D1 cpu=3D2 pid=3D1200 tid=3D1234 vcpu=3D3 exit_reason=3D12", (2, 1200, 1234, 3)),
        (
            "kvm-1234  [002] d..1  11.5: bpf_trace_printk: reason: 12 isa: 1 vcpu: 3",
            (2, Q, 1234, 3),
        ),
        (
            "h kvm_x86_exit: { cpu_id=2 }, { vpid = 1200, vtid = 1234 }, { isa=1, exit_reason=12 }",
            (2, 1200, 1234, Q),
        ),
    ],
)
def test_fields_that_scripts_print(line: str, where: tuple[object, ...]) -> None:
    found, sample = decoded(f"{line}\n")
    assert found.isa == "vmx"
    assert by(sample, "cpu", "pid", "tid", "vcpu", "reason") == {(*where, "HLT"): 1}


def test_a_vcpu_that_no_thread_can_be_called_after() -> None:
    _, sample = decoded(f"vcpu{'9' * 30} 1234 [003] 11.5: kvm:kvm_exit: reason HLT rip 0x1\n")
    (thread,) = sample.threads.values()
    assert thread.vcpu is None or thread.vcpu < 1 << 44


def test_text_that_is_almost_an_event() -> None:
    for end in ("kvm_e", "kvm_exit", "kvm_exits: 5"):
        _, sample = decoded(f"  kvm  1234 [002]  11.5: {EXIT} {end}\n")
        assert reasons(sample) == {"HLT": 1}


def test_entries_name_the_vcpu_where_old_kernels_do_not_for_exits() -> None:
    prefix = "  kvm-5664  [000] 11906.220178: "
    lines = ("kvm_entry: vcpu 7", "kvm_exit: reason HLT rip 0x1 info 0 0")
    _, sample = decoded("".join(f"{prefix}{line}\n" for line in lines))
    assert by(sample, "vcpu", "reason") == {(7, "HLT"): 1}


def test_exits_to_a_guest_hypervisor_are_not_counted_twice() -> None:
    lines = (
        f"  kvm-7  [000] 1.0: kvm_exit: {EXIT}",
        f"  kvm-7  [000] 1.0: kvm_nested_vmexit: {EXIT}",
        "  kvm-7  [000] 1.0: kvm_nested_vmexit_inject: reason HLT info1 0 info2 0",
        "  kvm-7  [000] 1.0: kvm_userspace_exit: reason KVM_EXIT_IO (2)",
    )
    for system in ("", "kvm:"):
        text = "".join(f"{line}\n" for line in lines).replace("kvm_", f"{system}kvm_")
        found, sample = decoded(text)
        assert reasons(sample) == {"HLT": 1}
        assert found.problems.count == 0


def test_events_dropped_by_the_tracer() -> None:
    line = f"  kvm-7  [000] 1.0: kvm_exit: {EXIT}\n"
    found, _ = decoded(f"CPU:1 [LOST 5 EVENTS]\n{line}CPU 0: [3 EVENTS DROPPED]\nLOST 2 events!\n")
    assert found.problems.notes() == ("the tracer lost 10 events; they are not counted",)
    for text in (
        "CPU:1 [LOST EVENTS]\n",
        "CPU:1 [EVENTS DROPPED]\n",
        "Processed 12345 events and lost 3 chunks!\n",
    ):
        found, _ = decoded(line + text)
        (note,) = found.problems.notes()
        assert note == "the tracer lost events, and does not say how many"


def test_a_mail_with_prose_and_wrapped_lines() -> None:
    mail = f"""\
Someone wrote:

> >  CPU 3/KVM-7289    [023] d....  2925.640967: kvm_exit: vcpu 3
> > reason HLT rip 0x1 info1 0x0 info2 0x0 intr_info 0x0
> > error_code 0x0
> >  CPU 3/KVM-7289    [023] .....  2925.640978: kvm_page_fault: vcpu 3 rip
> > 0xffffffff81036706 address 0x00000000fee000b0 error_code 0x181
> >  CPU 3/KVM-7289    [023] d....  2925.640980: kvm_exit: {EXIT}

What is this?
"""
    found, sample = decoded(mail)
    assert by(sample, "cpu", "tid", "vcpu", "reason") == {(23, 7289, 3, "HLT"): 2}
    assert found.problems.first is not None
    assert (found.problems.count, found.problems.first.text) == (1, "What is this?")


def test_several_events_on_a_line() -> None:
    """As when all line breaks got lost."""
    texts = (f"CPU {n}/KVM-{1200 + n} [00{n}] d... 1.{n}: kvm_exit: {EXIT}" for n in range(4))
    _, sample = decoded(" ".join(texts) + "\n")
    assert by(sample, "cpu", "tid") == {(n, 1200 + n): 1 for n in range(4)}
    assert sample.elapsed == pytest.approx(0.3)


@pytest.mark.parametrize(
    "lines",
    [
        ("72 kvm_exit: vcpu 0 reason HLT rip 0x1", "1 kvm_exit: vcpu 0 reason MSR_WRITE rip 0x1"),
        (
            "72 kvm_exit: reason HLT info 0 0",
            "75 kvm_entry: vcpu 0",
            "1 kvm_exit: reason MSR_WRITE",
        ),
    ],
)
def test_events_that_uniq_counted(lines: tuple[str, ...]) -> None:
    found, sample = decoded("".join(f"{line:>60}\n" for line in lines))
    assert reasons(sample) == {"HLT": 72, "MSR_WRITE": 1}
    assert by(sample, "tid") == {(Q,): 73}
    assert found.problems.notes() == ()


def test_the_thread_of_perf_may_be_a_count() -> None:
    found, sample = decoded(f"  1234 kvm:kvm_exit: {EXIT}\n")
    assert by(sample, "tid", "reason") == {(1234, "HLT"): 1}
    assert found.problems.notes() == (
        "a number alone before an event is taken for its thread, and not for a count",
    )


def test_ticks_are_not_seconds() -> None:
    (note,) = decoded(f"kvm-1 [000] 123456789: kvm_exit: {EXIT}\n")[1].notes
    assert note == "times are not used: they are ticks of a clock without a unit"


def test_unattributed_exits_do_not_ask_for_larger_maps() -> None:
    """The file does not contain the thread: no option of kstats can change that."""
    _, sample = decoded(f"kvm-7 [000] 1.0: kvm_exit: {EXIT}\nkvm_exit: {EXIT}\n")
    assert ExitsView().table(sample).notes == (
        "1 unattributed exit: the data do not contain the thread",
    )


TRACES = {
    "  CPU 0/KVM-1234    [000] d....   100.250001: kvm_exit: vcpu 0 reason msr rip 0x7f0000001000"
    " info1 0x0000000000000001 info2 0x0000000000000000 intr_info 0x00000000 error_code 0x00000000":
        ("svm", "msr:wr"),
    "qemu-system-x86-12902 [003] ....1..  6517.621557: kvm_exit: reason EXTERNAL_INTERRUPT rip"
    " 0x4004f1 info 0 800000fc": ("vmx", "EXTERNAL_INTERRUPT"),
    "fc_vcpu 1  599500 [001] 1377662.550637: kvm:kvm_exit: vcpu 1 reason INVALID_STATE"
    " FAILED_VMENTRY rip 0xffffffff81036706 info1 0x0000000000000000":
        ("vmx", "INVALID_STATE+FAILED_VMENTRY"),
    "  CPU 3/KVM-131   [000]    65.940266: kvm_exit: TRAP: HSR_EC: 0x0018 (SYS64), PC:"
    " 0x00000000000000f0": ("arm64", "SYS64"),
}  # fmt: skip
"""ISA and reason of the exit in a line."""


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("quote", ["", "> "])
def test_lines_wrapped_at_any_column(trace: str, quote: str) -> None:
    """Terminals break words, mail programs break at blanks."""
    isa, reason = TRACES[trace]
    whole = reasons(decoded(f"{trace}\n" * 3, isa=isa)[1])
    assert whole == {reason: 3}
    for width in range(60, len(trace)):
        torn = "\n".join(quote + trace[at : at + width] for at in range(0, len(trace), width))
        assert reasons(decoded(f"{torn}\n" * 3, isa=isa)[1]) == whole, torn
        if trace[width] == " ":
            wrapped = f"{quote}{trace[:width]}\n{quote}{trace[width + 1 :]}"
            assert reasons(decoded(f"{wrapped}\n" * 3, isa=isa)[1]) == whole, wrapped


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(TRACES)),
    st.lists(
        st.tuples(
            st.integers(0, 250),
            st.sampled_from(
                ["", " ", "\n", "9" * 30, "kvm_exit:", "[", "-", "\x1b[", "\udca0", "%"]
            ),
            st.integers(0, 3),
        ),
        max_size=6,
    ),
)
def test_a_damaged_trace_is_decoded_or_refused(
    line: str, damages: list[tuple[int, str, int]]
) -> None:
    isa, _ = TRACES[line]
    damaged = f"{line}\n{line}"
    for at, what, removed in damages:
        damaged = damaged[:at] + what + damaged[at + removed :]
    text = f"{line}\n{damaged}\n{line}\n"
    try:
        found = list(decode(io.BytesIO(text.encode(errors="surrogateescape")), isa=isa))
    except KstatsError as error:
        pytest.fail(f"two good lines are not enough: {error}")
    assert sum(n for sample in found for n in count_by(sample, ("cpu",)).values()) >= 1
    assert all(thread.tid <= 1 << 22 for sample in found for thread in sample.threads.values())
