"""Details are decoded correctly: the kernel runs the programs on made-up vCPUs and records."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Callable, Iterator

import pytest

from kstats.arch.details import UNKNOWN
from kstats.collector.details import Detail
from kstats.collector.live import Readings
from kstats.collector.threads import ExitsByThread
from kstats.loader import bcc_python, program
from tests.collector import kernel
from tests.collector.native import MEMORY_SIZE, load_unattached, target_of
from tests.collector.test_exit_code import PROBES
from tests.test_structure import PACKAGE

pytestmark = pytest.mark.root

VMX, SVM = 1, 2
REASON, REGISTERS, VMCB_POINTER, VMCB = 200, 296, 120, 1024
EXIT_CODE, EXIT_INFO = 112, 120
REC_REASON, REC_ISA, REC_INFO1, REC_INFO2 = 8, 24, 32, 40
OFFSETS = {
    ("vmx", "raw-btf"): {"EXIT_REASON_OFFSET": REASON, "GUEST_REGISTERS_OFFSET": REGISTERS},
    ("vmx", "classic"): {
        "REC_EXIT_REASON": REC_REASON,
        "REC_ISA": REC_ISA,
        "REC_INFO1": REC_INFO1,
    },
    ("svm", "raw-btf"): {
        "VMCB_OFFSET": VMCB_POINTER,
        "EXIT_CODE_OFFSET": EXIT_CODE,
        "EXIT_INFO_OFFSET": EXIT_INFO,
        "GUEST_REGISTERS_OFFSET": REGISTERS,
    },
    ("svm", "classic"): {
        "REC_EXIT_REASON": REC_REASON,
        "REC_ISA": REC_ISA,
        "REC_INFO1": REC_INFO1,
        "REC_INFO2": REC_INFO2,
    },
}

OFFSETS |= {(isa, "raw-cast"): OFFSETS[isa, "raw-btf"] for isa in ("vmx", "svm")}


class Vcpu:
    """A vCPU in kernel memory with made-up exits, and what is counted for them."""

    def __init__(self, isa: str, probe: str, kind: str) -> None:
        self.isa = isa
        self.machine = target_of(isa)
        self.detail = Detail.find(self.machine, kind)
        self.features = (self.detail, ExitsByThread())
        self.offsets = OFFSETS[isa, probe] | {"PAGE_FAULT_ARGS": 3}
        self.loaded = load_unattached(self.machine, self.features, probe, self.offsets)
        self._memory = self.loaded.maps["memory"]
        kernel.fire(self.loaded.programs["locate"])
        first = ctypes.create_string_buffer(MEMORY_SIZE)
        self._memory.read_into(struct.pack("=I", 0), first)
        (self.address,) = struct.unpack_from("=Q", first)

    def exit(self, code: int, info: tuple[int, int] = (0, 0), rax: int = 0, rcx: int = 0) -> None:
        """Fire an exit of the vCPU, with the processor's information besides the code."""
        content = bytearray(b"\xff" * MEMORY_SIZE)
        struct.pack_into("=I", content, REASON, code & 0xFFFFFFFF)
        struct.pack_into("=QQ", content, REGISTERS, rax, rcx)
        struct.pack_into("=Q", content, VMCB_POINTER, self.address + VMCB)
        struct.pack_into("=IIQQ", content, VMCB + EXIT_CODE, code & 0xFFFFFFFF, 0, *info)
        kernel.write(self._memory, 0, bytes(content))
        isa = VMX if self.isa == "vmx" else SVM
        kernel.fire_here(self.loaded.programs["on_exit"], self.address, isa)

    def shown(self, code: int, *info: int, rax: int = 0, rcx: int = 0) -> str | None:
        """Return the detail of one such exit as text; None if it carries none."""
        return self.watch(lambda: self.exit(code, _two(info), rax, rcx))

    def watch(self, happens: Callable[[], None]) -> str | None:
        """Return the detail of the one exit that ``happens`` fires, as text."""
        readings = Readings(self.machine, self.features, self.loaded)
        happens()
        sample = readings.sample()
        (((isa, code), at),) = sample.exits.items()
        ((place, exits),) = at.items()
        assert exits.count == 1
        if place.detail is None:
            return None
        kind = self.machine.arch.isa(isa)
        detail = kind.detail(self.detail.source.name) if kind else None
        assert detail
        assert code in detail.codes
        return "?" if place.detail == UNKNOWN else detail.text(place.detail)


class Record:
    """The classic record of an exit, in memory that a program gets as its context."""

    def __init__(self, isa: str, kind: str) -> None:
        self.vcpu = Vcpu(isa, "classic", kind)
        self.loaded = self.vcpu.loaded

    def shown(self, code: int, *info: int) -> str | None:
        """Return the detail of one such exit as text."""
        words = [0] * 6
        words[REC_REASON // 8] = code
        words[REC_ISA // 8] = VMX if self.vcpu.isa == "vmx" else SVM
        words[REC_INFO1 // 8], words[REC_INFO2 // 8] = _two(info)
        on_exit = self.loaded.programs["on_exit"]
        return self.vcpu.watch(lambda: void(kernel.fire_here(on_exit, *words)))


def _two(info: tuple[int, ...]) -> tuple[int, int]:
    first, second, *_ = (*info, 0, 0)
    return first, second


def void(_: int) -> None:
    """Nothing of what a program returns."""


@pytest.fixture(params=PROBES)
def made(request: pytest.FixtureRequest) -> Iterator[Callable[..., Vcpu]]:
    loaded: list[program.Loaded] = []
    probe: str = request.param

    def make(isa: str, kind: str) -> Vcpu:
        vcpu = Vcpu(isa, probe, kind)
        loaded.append(vcpu.loaded)
        return vcpu

    yield make
    for one in loaded:
        one.close()


@pytest.fixture
def recorded() -> Iterator[Callable[[str, str], Record]]:
    loaded: list[program.Loaded] = []

    def make(isa: str, kind: str) -> Record:
        record = Record(isa, kind)
        loaded.append(record.loaded)
        return record

    yield make
    for one in loaded:
        one.close()


def test_msrs(made: Callable[..., Vcpu]) -> None:
    vmx, svm = made("vmx", "msr"), made("svm", "msr")
    high = 0xFFFF_FFFF_0000_0000  # of a 64-bit guest's RCX, which RDMSR ignores
    for msr in (0x10, 0xC0000080, 0xFFFFFFFF):
        assert vmx.shown(31, rcx=high | msr) == svm.shown(0x7C, 0, rcx=high | msr)
        assert vmx.shown(32, rcx=msr) == svm.shown(0x7C, 1, rcx=msr)
    assert vmx.shown(31, rcx=0x10) == "read MSR_IA32_TSC(0x10)"
    assert vmx.shown(32, rcx=0x10) == "write MSR_IA32_TSC(0x10)"
    assert (vmx.shown(10, rcx=1), svm.shown(0x72, rcx=1)) == (None, None)


def test_hypercalls(made: Callable[..., Vcpu]) -> None:
    vmx, svm = made("vmx", "hypercall"), made("svm", "hypercall")
    assert vmx.shown(18, rax=5, rcx=9) == svm.shown(0x81, rax=5, rcx=9) == "KVM_HC_KICK_CPU(0x5)"
    assert (vmx.shown(12, rax=5), svm.shown(0x78, rax=5)) == (None, None)


# Intel SDM vol. 3C table 28-5: size - 1, direction, string, REP, immediate, port from bit 16 on.
@pytest.mark.parametrize(
    ("qualification", "text"),
    [
        (0x03F8_0000, "out 0x3f8/1"),
        (0x0CF8_000B, "in 0xcf8/4"),
        (0xFFFF_0001, "out 0xffff/2"),
        (0x0060_0048, "in 0x60/1"),
        (0x01F0_0039, "in 0x1f0/2"),
    ],
)
def test_ports_on_vmx(
    recorded: Callable[[str, str], Record], qualification: int, text: str
) -> None:
    assert recorded("vmx", "io").shown(30, qualification) == text


# AMD APM vol. 2 15.10.2: in, string, REP, size in bytes from bit 4, address size, port from 16.
@pytest.mark.parametrize("probe", ["raw-btf", "classic"])
def test_ports_on_svm(
    made: Callable[..., Vcpu], recorded: Callable[[str, str], Record], probe: str
) -> None:
    svm = recorded("svm", "io") if probe == "classic" else made("svm", "io")
    assert svm.shown(0x7B, 0x03F8_0210) == "out 0x3f8/1"
    assert svm.shown(0x7B, 0x0CF8_0241) == "in 0xcf8/4"
    assert svm.shown(0x7B, 0xFFFF_022C) == "out 0xffff/2"
    assert svm.shown(0x7C, 0x03F8_0210) is None


def test_control_registers_on_vmx(recorded: Callable[[str, str], Record]) -> None:
    vmx = recorded("vmx", "cr")
    assert vmx.shown(28, 0x0000) == "write cr0"
    assert vmx.shown(28, 0x0203) == "write cr3"
    assert vmx.shown(28, 0x0714) == "read cr4"
    assert vmx.shown(28, 0x0018) == "read cr8"
    assert vmx.shown(28, 0x0020) == "write cr0"  # CLTS
    assert vmx.shown(28, 0xFFFF_0030) == "write cr0"  # LMSW
    assert vmx.shown(29, 0x0018) is None


def test_control_registers_on_svm(made: Callable[..., Vcpu]) -> None:
    svm = made("svm", "cr")
    assert [svm.shown(code) for code in (0x00, 0x08, 0x13, 0x18)] == [
        "read cr0",
        "read cr8",
        "write cr3",
        "write cr8",
    ]
    assert (svm.shown(0x65), svm.shown(0x94)) == ("write cr0", "write cr4")
    assert (svm.shown(0x20), svm.shown(0x64), svm.shown(0xA0)) == (None, None, None)


# AMD APM vol. 2 15.25.6: the error code of a page fault, with bits of its own above.
@pytest.mark.parametrize("probe", ["raw-btf", "classic"])
def test_addresses_on_svm(
    made: Callable[..., Vcpu], recorded: Callable[[str, str], Record], probe: str
) -> None:
    whole, page = (
        recorded("svm", kind) if probe == "classic" else made("svm", kind)
        for kind in ("mmio", "page")
    )
    assert whole.shown(0x400, 0x1_0000_0004, 0xFEE0_00B0) == "read 0xfee000b0"
    assert whole.shown(0x400, 0x1_0000_000F, 0xFEE0_00B0) == "write 0xfee000b0"
    assert whole.shown(0x400, 0x1_0000_0014, 0xF_FFFF_FFFF_F123) == "fetch 0xffffffffff123"
    assert page.shown(0x400, 6, 0xFEE0_00B0) == "write 0xfee00000"
    assert page.shown(0x401, 6, 0xFEE0_00B0) is None


def test_addresses_on_vmx_are_reported_while_kvm_handles_the_exit(
    made: Callable[..., Vcpu],
) -> None:
    """kvm_page_fault (vcpu, address, qualification), kvm_mmio (type, bytes, address, value)."""
    whole, page = made("vmx", "mmio"), made("vmx", "page")

    def after(vcpu: Vcpu, code: int, function: str, *args: int) -> str | None:
        def happens() -> None:
            vcpu.exit(code)
            kernel.fire_here(vcpu.loaded.programs[function], *args)

        return vcpu.watch(happens)

    assert after(whole, 48, "on_page_fault", 1, 0x1234, 0x181) == "read 0x1234"
    assert after(whole, 48, "on_page_fault", 1, 0x1234, 0x182) == "write 0x1234"
    assert after(whole, 48, "on_page_fault", 1, 0x1234, 0x184) == "fetch 0x1234"
    assert after(page, 48, "on_page_fault", 1, 0x1234, 0x183) == "write 0x1000"
    assert after(whole, 49, "on_mmio", 2, 4, 0xFEE0_00B0, 0) == "write 0xfee000b0/4"
    assert after(whole, 49, "on_mmio", 0, 8, 0xFEE0_00B0, 0) == "read 0xfee000b0/8"
    assert after(page, 49, "on_mmio", 1, 8, 0xFEE0_00B0, 0) == "read 0xfee00000"
    assert after(whole, 49, "on_fast_mmio", 0xFEE0_00B0) == "write 0xfee000b0"


SET_TID_ADDRESS = {"x86_64": 218, "aarch64": 96}
FAULT_ESR, FAULT_FAR, FAULT_HPFAR = 400, 408, 416
TRAP = 2


class Arm64Vcpu(Vcpu):
    """A vCPU that is found from the running thread: ARM64's tracepoint does not pass it.

    Where the scheduler's notifiers are on such a kernel, the thread here has an address that it
    may set to anything.
    """

    def __init__(self, kind: str) -> None:
        OFFSETS["arm64", "raw"] = {
            "TASK_NOTIFIERS_OFFSET": settable_word_of_a_thread(),
            "VCPU_NOTIFIER_OFFSET": 64,
            "GUEST_REGISTERS_OFFSET": REGISTERS,
            "ESR_OFFSET": FAULT_ESR,
            "FAR_OFFSET": FAULT_FAR,
            "HPFAR_OFFSET": FAULT_HPFAR,
        }
        super().__init__("arm64", "raw", kind)

    def trap(self, esr: int, far: int = 0, hpfar: int = 0, x0: int = 0) -> str | None:
        """Return the detail of one such trap as text."""
        content = bytearray(b"\xff" * MEMORY_SIZE)
        struct.pack_into("=Q", content, REGISTERS, x0)
        struct.pack_into("=QQQ", content, FAULT_ESR, esr, far, hpfar)
        kernel.write(self._memory, 0, bytes(content))
        on_exit = self.loaded.programs["on_exit"]
        libc = ctypes.CDLL(None)
        number = SET_TID_ADDRESS[os.uname().machine]
        libc.syscall(number, ctypes.c_void_p(self.address + 64))
        try:
            return self.watch(lambda: void(kernel.fire_here(on_exit, TRAP, esr >> 26)))
        finally:
            libc.syscall(number, ctypes.c_void_p(0))


def settable_word_of_a_thread() -> int:
    """Where the kernel keeps what set_tid_address(2) sets."""
    code = (
        "import sys; sys.path.append(sys.argv[1]); import bcc\n"
        "from kstats.loader.btf import Btf\n"
        "print(Btf(bcc.lib, []).offset('task_struct.clear_child_tid'))"
    )
    command = [bcc_python.python_with_bcc(), "-P", "-c", code, str(PACKAGE.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout)


@pytest.fixture
def arm64() -> Iterator[Callable[[str], Arm64Vcpu]]:
    loaded: list[program.Loaded] = []

    def make(kind: str) -> Arm64Vcpu:
        vcpu = Arm64Vcpu(kind)
        loaded.append(vcpu.loaded)
        return vcpu

    yield make
    for one in loaded:
        one.close()


def esr(ec: int, iss: int) -> int:
    return ec << 26 | 1 << 25 | iss


# Arm ARM, ISS of an exception from MSR, MRS or System instruction: op0 21:20, op2 19:17, op1 16:14,
# CRn 13:10, Rt 9:5, CRm 4:1, direction 0.
def test_system_registers(arm64: Callable[[str], Arm64Vcpu]) -> None:
    vcpu = arm64("sysreg")
    pfr0 = 3 << 20 | 0 << 17 | 0 << 14 | 0 << 10 | 9 << 5 | 4 << 1 | 1
    assert vcpu.trap(esr(0x18, pfr0)) == "read ID_AA64PFR0_EL1(S3_0_C0_C4_0)"
    sgi1r = 3 << 20 | 5 << 17 | 0 << 14 | 12 << 10 | 31 << 5 | 11 << 1
    assert vcpu.trap(esr(0x18, sgi1r)) == "write ICC_SGI1R_EL1(S3_0_C12_C11_5)"
    highest = 3 << 20 | 7 << 17 | 7 << 14 | 15 << 10 | 15 << 1
    assert vcpu.trap(esr(0x18, highest)) == "write S3_7_C15_C15_7"
    assert vcpu.trap(esr(0x24, pfr0)) is None


def test_functions_of_hvc_and_smc(arm64: Callable[[str], Arm64Vcpu]) -> None:
    vcpu = arm64("hypercall")
    for ec in (0x12, 0x13, 0x16, 0x17):
        shown = vcpu.trap(esr(ec, 0), x0=0xFFFF_FFFF_8400_0008)
        assert shown == "PSCI_0_2_FN_SYSTEM_OFF(0x84000008)"
    assert vcpu.trap(esr(0x18, 0), x0=1) is None


# ISS of a data abort: ISV 24, SAS 23:22, S1PTW 7, WnR 6; HPFAR_EL2.FIPA is IPA[51:12] from bit 4.
def test_addresses_on_arm64(arm64: Callable[[str], Arm64Vcpu]) -> None:
    whole, page = arm64("mmio"), arm64("page")
    hpfar = 1 << 63 | 0x0901_0000 >> 8
    byte, quad = 1 << 24, 1 << 24 | 3 << 22
    assert whole.trap(esr(0x24, byte | 0x07), 0xFFFF_1018, hpfar) == "read 0x9010018/1"
    assert whole.trap(esr(0x24, quad | 0x47), 0xFFFF_1018, hpfar) == "write 0x9010018/8"
    assert whole.trap(esr(0x24, 0x47), 0xFFFF_1018, hpfar) == "write 0x9010018"
    assert whole.trap(esr(0x24, 0xC7), 0xFFFF_1018, hpfar) == "read 0x9010018"
    assert whole.trap(esr(0x20, 0x07), 0xFFFF_1018, hpfar) == "fetch 0x9010018"
    assert page.trap(esr(0x24, quad | 0x47), 0xFFFF_1018, hpfar) == "write 0x9010000"
    assert page.trap(esr(0x01, 0)) is None
