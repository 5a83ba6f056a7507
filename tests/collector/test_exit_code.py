"""The programs of bpf/ decode every exit there can be, run by the kernel with made-up arguments."""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Iterator

import pytest

from kstats.collector import percpu
from kstats.host import Host
from kstats.views.percpu import PerCpuView
from tests.collector import kernel
from tests.collector.native import LOADS, MEMORY_SIZE, Bench, bench
from tests.samples import counts

pytestmark = pytest.mark.root

IRQ, SERROR, TRAP, IL, HYP_GONE = 0, 1, 2, 3, 0x0BADCA11
SERROR_PENDING = 1 << 31
RETURN_CODE = 1 << 32
DABT_LOW = 0x24

VMX, SVM = 1, 2
MSR, READ, WRITE = 0x7C, 1 << 32, 2 << 32
POINTER = 0xFFFF_8880_0000_1000

VCPU, VMCB = 64, 1024
"""Where the made-up vCPU and its VMCB lie in the memory we know."""


@pytest.fixture(scope="module")
def arm64(loader: str) -> Iterator[Bench]:
    made = bench("arm64", "raw", {}, loader)
    with made.loaded:
        yield made


@pytest.fixture(scope="module")
def vmx(loader: str) -> Iterator[Bench]:
    made = bench("vmx", "raw-arg", {}, loader)
    with made.loaded:
        yield made


class Vcpu:
    """A vCPU in kernel memory, with made-up content."""

    def __init__(self, made: Bench) -> None:
        self.bench = made
        self._memory = made.loaded.maps["memory"]
        kernel.fire(made.loaded.programs["locate"])
        first = ctypes.create_string_buffer(MEMORY_SIZE)
        self._memory.read_into(struct.pack("=I", 0), first)
        (self.address,) = struct.unpack_from("=Q", first)

    def write(self, *parts: tuple[int, bytes]) -> None:
        """Fills the memory with 0xff but for ``parts``, each at its offset."""
        content = bytearray(b"\xff" * MEMORY_SIZE)
        for offset, part in parts:
            content[offset : offset + len(part)] = part
        kernel.write(self._memory, 0, bytes(content))


# A kernel without direct loads must not fail the tests: the host svm-6.12 covers them.
PROBES = ("raw-btf", *(["raw-cast"] if LOADS else []))


@pytest.fixture(scope="module", params=PROBES)
def vmx_vcpu(request: pytest.FixtureRequest, loader: str) -> Iterator[Vcpu]:
    made = bench("vmx", request.param, {"EXIT_REASON_OFFSET": 200}, loader)
    with made.loaded:
        yield Vcpu(made)


@pytest.fixture(scope="module", params=PROBES)
def svm_vcpu(request: pytest.FixtureRequest, loader: str) -> Iterator[Vcpu]:
    made = bench("svm", request.param, {"VMCB_OFFSET": 120, "EXIT_CODE_OFFSET": 112}, loader)
    with made.loaded:
        yield Vcpu(made)


def counted(isa: str, codes: Iterator[int] | range | list[int], cpu: int = 0) -> object:
    """What a sample's exits must be after one exit of each code."""
    return {(isa, code): {(cpu, 0): 1} for code in codes}


@pytest.mark.parametrize("pending", [0, SERROR_PENDING])
def test_arm64_traps_are_their_exception_class(arm64: Bench, pending: int) -> None:
    sample = arm64.sample((TRAP | pending, ec, 0xFFFF0000) for ec in range(64))
    assert counts(sample.exits) == counted("arm64", range(64))


@pytest.mark.parametrize("pending", [0, SERROR_PENDING])
@pytest.mark.parametrize("ret", [IRQ, SERROR, IL, HYP_GONE, 4, 0x7FFFFFFF])
def test_what_is_no_trap_on_arm64_is_its_return_code(arm64: Bench, ret: int, pending: int) -> None:
    """The class is stale then: that of the trap before, any of them."""
    sample = arm64.sample((ret | pending, stale, 0) for stale in range(64))
    assert counts(sample.exits) == {("arm64", RETURN_CODE | ret): {(0, 0): 64}}


def test_arm64_return_codes_are_ints_that_may_come_sign_extended(arm64: Bench) -> None:
    for ret in (IRQ, SERROR, IL):
        extended = struct.unpack("=q", struct.pack("=Q", ret | 0xFFFFFFFF << 32 | SERROR_PENDING))[
            0
        ]
        assert arm64.decode(extended, DABT_LOW) == RETURN_CODE | ret
    assert arm64.decode(TRAP | 0xFFFFFFFF << 32 | SERROR_PENDING, DABT_LOW) == DABT_LOW


@pytest.mark.parametrize("ec", [64, 255, 0xFFFFFFFF])
def test_a_class_that_no_arm64_has_keeps_its_number(arm64: Bench, ec: int) -> None:
    assert arm64.decode(TRAP, ec) == ec


def test_exits_are_counted_on_the_cpu_where_they_happen(arm64: Bench) -> None:
    for cpu in Host().online_cpus():
        assert counts(arm64.sample([(IRQ, 0)] * 3, cpu).exits) == {
            ("arm64", RETURN_CODE): {(cpu, 0): 3}
        }
        assert counts(arm64.sample([(TRAP, 999)] * 3, cpu).exits) == {("arm64", 999): {(cpu, 0): 3}}


def test_entries_are_counted_for_themselves(arm64: Bench) -> None:
    readings = arm64.readings()
    for _ in range(7):
        kernel.fire(arm64.loaded.programs["on_entry"])
    sample = readings.sample()
    assert (sample.entries, sample.exits) == ({0: 7}, {})


def test_every_program_returns_1(arm64: Bench) -> None:
    """A classic tracepoint's program that returns 0 hides the event from everybody else."""
    on_entry, on_exit = (arm64.loaded.programs[name] for name in ("on_entry", "on_exit"))
    assert kernel.fire(on_entry) == 1
    for args in ((IRQ, 0), (TRAP, 1), (TRAP, 12345)):
        assert kernel.fire(on_exit, *args) == 1


def test_vmx_reasons_are_the_argument(vmx: Bench) -> None:
    codes = [*range(128), 128, 0xFFFF, *(1 << 31 | reason for reason in range(128))]
    assert counts(vmx.sample((code, POINTER, VMX) for code in codes).exits) == counted("vmx", codes)


def test_exits_of_another_isa_are_counted_as_unsupported(vmx: Bench) -> None:
    sample = vmx.sample((reason, POINTER, SVM) for reason in range(128))
    assert (sample.unsupported_isa, sample.exits, sample.code_dropped) == (128, {}, {})
    assert kernel.fire(vmx.loaded.programs["on_exit"], 1, POINTER, SVM) == 1


def test_vmx_reasons_are_read_from_the_vcpu(vmx_vcpu: Vcpu) -> None:
    vcpu = vmx_vcpu.address + VCPU
    for reason in (*range(128), 200, 1 << 31 | 33):
        vmx_vcpu.write((VCPU + 200, struct.pack("=I", reason)))
        assert vmx_vcpu.bench.decode(vcpu, VMX) == reason
    assert vmx_vcpu.bench.decode(vcpu, SVM) is None


def svm_exit(vcpu: Vcpu, code: int, info: int = 0, high: int = 0) -> int | None:
    """What an SVM exit is counted as."""
    control = struct.pack("=IIQ", code, high, info)
    pointer = struct.pack("=Q", vcpu.address + VMCB)
    vcpu.write((VCPU + 120, pointer), (VMCB + 112, control))
    return vcpu.bench.decode(vcpu.address + VCPU, SVM)


def test_svm_codes_are_read_from_the_vmcb(svm_vcpu: Vcpu) -> None:
    codes = itertools.chain(
        range(MSR), range(MSR + 1, 0x100), range(0x400, 0x412), range(0x8000_0000, 0x8000_0021)
    )
    for code in codes:
        assert svm_exit(svm_vcpu, code, info=0xFFFF_FFFF_FFFF_FFFF) == code


@pytest.mark.parametrize(
    ("info", "way"), [(0, READ), (1, WRITE), (0xFFFF_FFFE, READ), (0xFFFF_FFFF, WRITE)]
)
def test_bit_0_distinguishes_svm_msr_reads_and_writes(svm_vcpu: Vcpu, info: int, way: int) -> None:
    assert svm_exit(svm_vcpu, MSR, info) == way | MSR


def test_an_invalid_guest_state_is_one_code_however_wide(svm_vcpu: Vcpu) -> None:
    """The kernel's -1 fills 32 bits of the VMCB or 64."""
    assert svm_exit(svm_vcpu, 0xFFFFFFFF) == 0xFFFFFFFF
    assert svm_exit(svm_vcpu, 0xFFFFFFFF, high=0xFFFFFFFF) == 0xFFFFFFFF


def test_svm_does_not_decode_a_vmx_exit(svm_vcpu: Vcpu) -> None:
    assert svm_vcpu.bench.decode(svm_vcpu.address + VCPU, VMX) is None


RECORD = {"REC_EXIT_REASON": 8, "REC_ISA": 24, "REC_INFO1": 32}


def record(reason: int, isa: int, info: int = 0) -> tuple[int, ...]:
    """The words of a classic x86 record: common fields, reason, rip, isa, info1, info2."""
    common = 0x1234_5678_0102_0304
    return struct.unpack("=6Q", struct.pack("=QI4xQI4xQQ", common, reason, 7, isa, info, 9))


def test_classic_records_contain_the_same(loader: str) -> None:
    made = bench("vmx", "classic", RECORD, loader)
    with made.loaded:
        for reason in (*range(128), 1 << 31 | 33):
            assert made.decode(*record(reason, VMX)) == reason
        assert made.decode(*record(1, SVM)) is None


def test_classic_records_distinguish_svm_msr_reads_and_writes(loader: str) -> None:
    made = bench("svm", "classic", RECORD, loader)
    with made.loaded:
        for code in (0, 0x60, 0x400, 0xFFFFFFFF):
            assert made.decode(*record(code, SVM, info=1)) == code
        assert made.decode(*record(MSR, SVM, info=0)) == READ | MSR
        assert made.decode(*record(MSR, SVM, info=1)) == WRITE | MSR
        assert made.decode(*record(1, VMX)) is None


def test_classic_arm64_records_contain_the_same(loader: str) -> None:
    made = bench("arm64", "classic", {"REC_RET": 8, "REC_ESR_EC": 12}, loader)
    with made.loaded:
        for ret, ec, code in ((TRAP, 0x18, 0x18), (IRQ, 0, RETURN_CODE), (HYP_GONE, 0, None)):
            words = struct.unpack("=2Q", struct.pack("=QII", 0, ret, ec))
            assert made.decode(*words) == (RETURN_CODE | ret if code is None else code)


def test_codes_that_do_not_fit_are_counted_without_their_number(loader: str) -> None:
    """After a thousand unknown codes the table is full; the sum stays right."""
    made = bench("arm64", "raw", {}, loader)
    with made.loaded:
        sample = made.sample((TRAP, code) for code in range(1000, 1000 + percpu.ODD_CODES + 6))
        again = made.sample([(TRAP, 1000)] * 5)
    assert len(sample.exits) == percpu.ODD_CODES
    assert sample.code_dropped == {0: 6}
    table = PerCpuView().table(sample)
    assert table.rows[0].cells[2] == table.rows[0].cells[-1] == percpu.ODD_CODES + 6
    assert table.notes[0].startswith("6 exits with a dropped code")
    assert counts(again.exits) == {("arm64", 1000): {(0, 0): 5}}
