"""Files that no real tool wrote: lists of codes, damaged files, hostile files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import time
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstats.arch import BUILT_IN
from kstats.errors import KstatsError, UnknownNameError
from kstats.importers import FORMATS, UnrecognizedError, decode
from kstats.importers.lines import LONGEST, lines
from kstats.model import Sample
from tests.samples import counts

VMX = b"  CPU 0/KVM  7 [001]  10.5: kvm:kvm_exit: vcpu 3 reason %s rip 0x1 info1 0x0 info2 0x0\n"
SVM = b"  python3-7  [001]  10.5: kvm_exit: reason %s rip 0x1 info 1 0\n"
ARM64 = (
    b"  CPU 0/KVM  7 [001]  10.5: kvm:kvm_exit: %s: HSR_EC: 0x%04x (%s), PC: 0x0000000080000124\n"
)


def samples(data: bytes, **how: object) -> list[Sample]:
    return list(decode(io.BytesIO(data), **how))  # type: ignore[arg-type]


def codes(data: bytes, **how: object) -> dict[int, int]:
    """How often each code occurred."""
    found: Counter[int] = Counter()
    for sample in samples(data, **how):
        for (_, code), places in sample.exits.items():
            found[code] += sum(exits.count for exits in places.values())
    return dict(found)


def test_a_list_of_codes() -> None:
    listed = b"# of last night\n48\nvmx:0x1e 17\nEPT_VIOLATION, 3\nUD excp 2\n0x99\n\n"
    found = decode(io.BytesIO(listed), isa="vmx")
    (sample,) = found
    assert {code: places[-1, 0] for (_, code), places in counts(sample.exits).items()} == {
        48: 4,
        30: 17,
        0x99: 1,
    }
    assert found.problems.count == 1
    assert sample.notes == (
        "1 line was not understood and not counted; the first is line 5: UD excp 2",
    )
    assert codes(b"UD excp 2\n") == {0x46: 2}


def test_a_list_of_numbers_may_be_of_any_isa() -> None:
    with pytest.raises(UnrecognizedError, match="cannot detect the ISA") as caught:
        samples(b"48\n30\n")
    assert caught.value.hint == "name it: --isa vmx|svm|arm64"
    assert codes(b"48\n30\nnpf\n") == {48: 1, 30: 1, 0x400: 1}


def test_the_spelling_of_names_identifies_the_isa() -> None:
    for name, isa in ((b"HLT", "vmx"), (b"hlt", "svm"), (b"EXIT_HLT", "svm")):
        assert decode(io.BytesIO(VMX % name)).isa == isa
    assert decode(io.BytesIO(ARM64 % (b"TRAP", 1, b"WFx"))).isa == "arm64"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"EPT_VIOLATION", 48),
        (b"INVALID_STATE FAILED_VMENTRY", 0x8000_0021),
        (b"0x99", 0x99),
        (b"UNKNOWN (75)", 75),
        (b"PENDING_INTERRUPT", 7),
    ],
)
def test_what_kernel_and_libtraceevent_print_of_vmx(text: bytes, code: int) -> None:
    assert codes(VMX % text, isa="vmx") == {code: 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"EXIT_MSR", 2 << 32 | 0x7C),
        (b"UD excp", 0x46),
        (b"EXIT_EXCP_UD", 0x46),
        (b"EXIT_ERR", 0xFFFF_FFFF),
        (b"UNKNOWN (1027)", 0x403),
    ],
)
def test_what_kernel_and_libtraceevent_print_of_svm(text: bytes, code: int) -> None:
    assert codes(SVM % text, isa="svm") == {code: 1}


def test_the_exception_class_of_arm64_counts_only_for_traps() -> None:
    data = ARM64 % (b"TRAP", 0x18, b"SYS64") + ARM64 % (b"IRQ", 0x18, b"SYS64")
    data += ARM64 % (b"TRAP", 0x3F, b"0x3f") + ARM64 % (b"0x7", 0, b"UNKNOWN")
    assert codes(data) == {0x18: 1, 1 << 32: 1, 0x3F: 1, 1 << 32 | 7: 1}


def test_cpu_thread_and_vcpu_are_read() -> None:
    (sample,) = samples(VMX % b"HLT" + b"  x  1/8 [002] 11.5: kvm:kvm_exit: reason HLT rip 0x1\n")
    assert counts(sample.exits)["vmx", 12] == {(1, 7): 1, (2, 1 << 32 | 8): 1}
    assert sample.threads[7].vcpu == 3
    assert sample.threads[1 << 32 | 8].vm.name == "x"
    assert (sample.cpus, sample.time, sample.elapsed) == ((1, 2), 11.5, 1.0)


def test_fields_that_perf_was_not_asked_for() -> None:
    (sample,) = samples(b"kvm:kvm_exit: vcpu 0 reason HLT rip 0x1\n")
    assert counts(sample.exits)["vmx", 12] == {(-1, 0): 1}
    assert sample.elapsed == 0


def test_other_events_and_call_chains_are_ignored() -> None:
    data = b"# captured on: ...\n" + VMX % b"HLT"
    data += b"\tffffffffc0a1b2c3 vmx_vcpu_run+0x1 ([kvm_intel])\n\n"
    data += b"  swapper  0 [000]  10.7: sched:sched_switch: prev_comm=x\n"
    (sample,) = samples(data)
    assert sample.notes == ()
    assert counts(sample.exits) == {("vmx", 12): {(1, 7): 1}}


def test_lost_events_are_reported() -> None:
    data = b"# entries-in-buffer/entries-written: 90/100   #P:2\n" + SVM % b"EXIT_NPF"
    data += b"CPU:1 [LOST 5 EVENTS]\nCPU:0 [3 EVENTS DROPPED]\n"
    (sample,) = samples(data)
    assert sample.notes == ("the tracer lost 18 events; they are not counted",)


def test_lines_with_times_after_the_year_9999_are_not_counted() -> None:
    text = b"qemu 7/8 [001] %s.5: kvm:kvm_exit: reason HLT rip 0x1 info 0 0\n"
    (sample,) = samples(text % b"10" + text % b"999999999999")
    assert counts(sample.exits) == {("vmx", 12): {(1, 7 << 32 | 8): 1}}
    assert sample.time == 10.5


def test_damaged_lines_are_counted_and_the_first_is_shown() -> None:
    data = VMX % b"HLT" + VMX % b"NONSENSE" + b"garb\x1b[31mage \xff\n" + VMX % b"HLT"
    found = decode(io.BytesIO(data))
    (sample,) = found
    assert counts(sample.exits)["vmx", 12] == {(1, 7): 2}
    assert found.problems.count == 2
    assert "2 lines were not understood and not counted; the first is line 2: " in sample.notes[0]


def test_kvmexit_with_fewer_columns() -> None:
    title = b"Display kvm exit reasons and statistics for PID 7 after sleeping 5 secs.\n"
    data = title + b"KVM_EXIT_REASON   COUNT\nEPT_VIOLATION   6\nN/A   2\nTDCALL  1\n"
    (sample,) = samples(data)
    assert sample.elapsed == 5
    assert counts(sample.exits)["vmx", 48] == {(-1, 0): 6}
    assert sample.code_dropped == {-1: 3}
    assert sample.notes == (
        "N/A: exits without a name; the tool prints no codes",
        "TDCALL: off by one in some versions of kvmexit; the code is unknown",
    )
    (sample,) = samples(b"TID    KVM_EXIT_REASON  COUNT\n9    EPT_VIOLATION  6     \n")
    assert counts(sample.exits)["vmx", 48] == {(-1, 9): 6}


def test_kvm_stat_without_a_second_line() -> None:
    data = b"timestamp,kvm_exit,kvm_exit(EPT_VIOLATION),kvm_entry\n2026-01-31 12:00:01,9,7,8\n"
    (sample,) = samples(data)
    assert sample.timestamp == "2026-01-31T12:00:01.000Z"
    assert (sample.elapsed, sample.entries, sample.code_dropped) == (1, {-1: 8}, {-1: 2})
    torn = decode(io.BytesIO(data + b"2026-13-31 12:00:02,9,7,8\n2026-01-31 12:00:02,9\nx\n"))
    assert len(list(torn)) == 1
    assert torn.problems.count == 3


@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (b"", "the input is empty", "command"),
        (b"PERFILE2\x68\0\0\0kvm:kvm_exit: reason HLT", "perf's own file", "perf script -i"),
        (b"\x17\x08Dtracing6\0", "trace-cmd's own file", "trace-cmd report"),
        (gzip.compress(b"HLT 10"), "a compressed file", "zcat"),
        (bz2.compress(b"HLT 10"), "a compressed file", "bzcat"),
        (lzma.compress(b"HLT 10"), "a compressed file", "xzcat"),
    ],
)
def test_files_that_are_not_text_name_the_command_that_prints_it(
    data: bytes, what: str, hint: str
) -> None:
    with pytest.raises(UnrecognizedError, match=what) as error:
        decode(io.BytesIO(data))
    assert hint in error.value.hint


@pytest.mark.parametrize("data", [b"\n\n", b"hello\nworld\n", b"\0" * 100, b"\xff\xfe\n"])
def test_what_no_known_tool_writes(data: bytes) -> None:
    with pytest.raises(UnrecognizedError, match="has the format of a known tool"):
        samples(data)


def test_a_forced_format_without_exits_in_it() -> None:
    with pytest.raises(UnrecognizedError, match="no exits found") as caught:
        samples(b"hello\n", format="perf", isa="vmx")
    assert "1 line was not understood" in caught.value.hint


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError):
        samples(b"", format="xml")
    with pytest.raises(UnknownNameError):
        samples(b"", isa="z80")


def test_endless_lines_are_bounded() -> None:
    """Fifty megabytes without a line feed, between two good lines."""

    class Endless(io.RawIOBase):
        left = 50 << 20

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            n = min(len(buffer), self.left)
            buffer[:n] = b"x" * n
            self.left -= n
            return n

    tracemalloc.start()
    try:
        (line,) = lines(io.BufferedReader(Endless()))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert not line.whole
    assert len(line.text) == LONGEST + 1
    (sample,) = samples(VMX % b"HLT" + b"x" * (1 << 20) + b"\n" + VMX % b"HLT")
    assert counts(sample.exits)["vmx", 12] == {(1, 7): 2}
    assert "the first is line 2: too long" in sample.notes[0]


@pytest.mark.parametrize(
    "line",
    [
        *(b" 1" * 8000, b"-1 " * 5000, b"1/" * 8000, b"a:" * 8000, b"[1] " * 4000, b" " * 16000),
        *(b"kvm_exit: " * 1600, b"kvm_e" * 3200, b"> " * 8000, b"\x1b[1" * 4000, b"=" * 16000),
        b"kvm_exit: reason " + b"A " * 8000,
        b"kvm_exit: reason " + b"a=" * 8000,
        b"2026-01-31 12:00:01" + b", " * 8000,
        b"x" + b" " * 16000 + b"y",
    ],
)
def test_no_line_takes_long(line: bytes) -> None:
    """Patterns must not try everything."""
    started = time.process_time()
    with pytest.raises(KstatsError):
        samples((line + b"\n") * 20)
    assert time.process_time() - started < 2


PIECES = st.sampled_from(
    [
        VMX % b"HLT",
        SVM % b"EXIT_NPF",
        b"kvm_exit(",
        b"2026-01-31 12:00:01,",
        b"KVM_EXIT_REASON COUNT",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=60), PIECES, st.just(b"\n"))),
    st.one_of(st.none(), st.sampled_from(sorted(FORMATS))),
    st.one_of(st.none(), st.sampled_from([isa.name for arch in BUILT_IN for isa in arch.isas])),
)
def test_whatever_comes_is_decoded_or_refused(
    pieces: list[bytes], name: str | None, isa: str | None
) -> None:
    try:
        found = samples(b"".join(pieces), format=name, isa=isa)
    except KstatsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - one of two outcomes
    else:
        assert all(e.count > 0 for s in found for at in s.exits.values() for e in at.values())
