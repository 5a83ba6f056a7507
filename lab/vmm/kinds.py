"""The oracle: every kind of work that a guest can do, and the VM exits that it makes.

An exit is named as the kernel names it in ``events/kvm/kvm_exit/format`` and numbered as the
hardware numbers it: basic exit reasons on VMX (Intel SDM volume 3, appendix C), exit codes on SVM
(AMD APM volume 2, appendix C), ESR_EL2.EC on arm64 (Arm ARM, ESR_EL2).

To add a kind, add a row here, and a ``handler`` of its name in the guests of its ISAs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

VMX: Final = "vmx"
SVM: Final = "svm"
ARM64: Final = "arm64"
ISAS: Final = (VMX, SVM, ARM64)
X64: Final = (VMX, SVM)


class Exit(NamedTuple):
    """One exit code of one ISA."""

    isa: str
    code: int | None  # None: arm64's IRQ, which has no exception class
    name: str
    access: str = ""  # "read" or "write" where one SVM code stands for both


@dataclass(frozen=True)
class Rule:
    """How often a kind makes an exit: `each` per unit, plus `once` per vCPU."""

    exit: Exit
    each: int = 1
    once: int = 0
    exact: bool = True

    def count(self, units: int) -> int:
        """Return the number of exits of so many units."""
        return self.each * units + self.once if units else 0


@dataclass(frozen=True)
class Kind:
    """A kind of work: what a unit of it is, its exits, and its exits to user space."""

    name: str
    unit: str
    rules: tuple[Rule, ...]
    arg: int = 0  # the default argument
    arg_name: str = ""  # empty: no argument
    arg_max: int = 0xFFFF_FFFF
    handlers: Mapping[str, str] = field(default_factory=dict)  # ISA → handler, if not the name
    user: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # ISA → exits to user space
    injects: int = 0  # interrupts that the VMM injects, per unit
    irqchip: Mapping[str, bool] = field(
        default_factory=dict
    )  # ISA → whether it must be in the kernel

    @property
    def isas(self) -> tuple[str, ...]:
        """Return the ISAs that have this kind."""
        made = {rule.exit.isa for rule in self.rules}
        return tuple(isa for isa in ISAS if isa in made)

    def handler(self, isa: str) -> str:
        """Return the name of its handler in the guest."""
        return self.handlers.get(isa, self.name)


def _vmx(code: int, name: str) -> Exit:
    return Exit(VMX, code, name)


def _svm(code: int, name: str, access: str = "") -> Exit:
    return Exit(SVM, code, name, access)


def _arm64(code: int, name: str) -> Exit:
    return Exit(ARM64, code, name)


def _one(*exits: Exit) -> tuple[Rule, ...]:
    return tuple(Rule(exit_) for exit_ in exits)


def _any(*exits: Exit) -> tuple[Rule, ...]:
    return tuple(Rule(exit_, each=0, exact=False) for exit_ in exits)


EPT_VIOLATION: Final = _vmx(48, "EPT_VIOLATION")
EPT_MISCONFIG: Final = _vmx(49, "EPT_MISCONFIG")
CR_ACCESS: Final = _vmx(28, "CR_ACCESS")
NPF: Final = _svm(0x400, "npf")
IABT: Final = _arm64(0x20, "IABT_LOW")
DABT: Final = _arm64(0x24, "DABT_LOW")
WFX: Final = _arm64(0x01, "WFx")
IO: Final = (_vmx(30, "IO_INSTRUCTION"), _svm(0x7B, "io"))
RDMSR: Final = (_vmx(31, "MSR_READ"), _svm(0x7C, "msr", "read"))
WRMSR: Final = (_vmx(32, "MSR_WRITE"), _svm(0x7C, "msr", "write"))
HLT: Final = (_vmx(12, "HLT"), _svm(0x78, "hlt"))
VMX_TIMER: Final = _vmx(52, "PREEMPTION_TIMER")
WINDOW: Final = (_vmx(7, "INTERRUPT_WINDOW"), _svm(0x64, "vintr"))

ANY_TIME: Final[Mapping[str, frozenset[Exit]]] = {
    VMX: frozenset({_vmx(1, "EXTERNAL_INTERRUPT")}),
    SVM: frozenset({_svm(0x60, "interrupt"), _svm(0x61, "nmi")}),
    ARM64: frozenset({Exit(ARM64, None, "IRQ")}),
}
"""Exits that the host causes at any time, independent of the guest."""

_USER_IO: Final = {VMX: ("IO",), SVM: ("IO",)}
_USER_BELL: Final = {**_USER_IO, ARM64: ("MMIO",)}
_USER_WINDOW: Final = dict.fromkeys((VMX, SVM), ("IO", "IRQ_WINDOW_OPEN"))
_CHIP: Final = dict.fromkeys(ISAS, True)
_NO_CHIP: Final = {VMX: False, SVM: False}

# fmt: off
_TABLE: Final = (
    Kind("cpuid", "CPUID", _one(_vmx(10, "CPUID"), _svm(0x72, "cpuid")), arg_name="leaf"),
    Kind("io", "OUT of one byte", _one(*IO), arg=0x3F8, arg_name="port", arg_max=0xFFFF,
         user=_USER_IO),
    Kind("in", "IN of one byte", _one(*IO), arg=0x3F8, arg_name="port", arg_max=0xFFFF,
         user=_USER_IO),
    # IA32_BIOS_SIGN_ID and IA32_UCODE_WRITE are in no MSR bitmap and have no side effect in KVM.
    Kind("rdmsr", "RDMSR", _one(*RDMSR), arg=0x8B, arg_name="msr"),
    Kind("wrmsr", "WRMSR of 0", _one(*WRMSR), arg=0x79, arg_name="msr"),
    Kind("hypercall", "VMCALL, VMMCALL or HVC, answered by the kernel",
         _one(_vmx(18, "VMCALL"), _svm(0x81, "hypercall"), _arm64(0x16, "HVC64")),
         handlers={VMX: "vmcall", SVM: "vmmcall", ARM64: "hvc"}),
    # An unknown hypercall is answered, too: with an error.
    Kind("call", "VMCALL, VMMCALL or HVC of any number",
         _one(_vmx(18, "VMCALL"), _svm(0x81, "hypercall"), _arm64(0x16, "HVC64")), arg=1,
         arg_name="number",
         handlers={VMX: "callvmcall", SVM: "callvmmcall", ARM64: "callhvc"}),
    Kind("smc", "SMC", _one(_arm64(0x17, "SMC64"))),
    Kind("sys64", "read of an ID register, trapped by HCR_EL2.TID3",
         _one(_arm64(0x18, "SYS64")), arg_name="register", arg_max=2),
    Kind("wrsys64", "write of OSLAR_EL1, trapped by MDCR_EL2.TDOSA",
         _one(_arm64(0x18, "SYS64"))),
    Kind("page", "store to an unused page", _one(EPT_VIOLATION, NPF, DABT)),
    Kind("exec", "call into an unused page", _one(EPT_VIOLATION, NPF, IABT)),
    # On VMX the first access finds no mapping. KVM then creates an invalid entry, so that the
    # next accesses exit with EPT_MISCONFIG. SVM and arm64 have one code for both.
    Kind("mmio", "store to an address without memory",
         (Rule(EPT_VIOLATION, each=0, once=1), Rule(EPT_MISCONFIG, once=-1), *_one(NPF, DABT)),
         arg_name="offset", arg_max=0xFFC, user=dict.fromkeys(ISAS, ("MMIO",))),
    # Without an interrupt controller in the kernel, HLT exits to user space.
    Kind("hlt", "HLT, ended by the VMM", _one(*HLT), user={VMX: ("HLT",), SVM: ("HLT",)},
         irqchip=_NO_CHIP),
    # Arming the timer and ending its interrupt write MSRs, unless the hardware has a virtual APIC.
    Kind("sleep", "HLT until a timer of the guest fires",
         (*_one(*HLT),
          *_any(*WRMSR, *WINDOW, _vmx(45, "EOI_INDUCED"), VMX_TIMER,
                _vmx(56, "APIC_WRITE"))),
         arg=500, arg_name="microseconds", arg_max=1_000_000, irqchip=_CHIP),
    Kind("wfi", "WFI until a timer of the guest fires", _one(WFX),
         arg=500, arg_name="microseconds", arg_max=1_000_000, irqchip=_CHIP),
    # Trapped only while another thread is runnable on the CPU (HCR_EL2.TWE).
    Kind("wfe", "WFE", _any(WFX)),
    # Only changes of bits that KVM owns exit. CR0.AM and CR4.MCE are such bits, and KVM keeps its
    # page tables when they change. SVM intercepts CR0 by the selective intercept.
    Kind("cr0", "MOV to CR0, toggling AM", _one(CR_ACCESS, _svm(0x65, "cr0_sel_write"))),
    Kind("cr4", "MOV to CR4, toggling MCE", _one(CR_ACCESS, _svm(0x14, "write_cr4"))),
    Kind("rdcr4", "MOV from CR4; VMX has a shadow to read", _one(_svm(0x04, "read_cr4"))),
    # With an APIC in the kernel the task priority is virtualized and does not exit.
    Kind("cr8", "MOV to CR8", _one(CR_ACCESS, _svm(0x18, "write_cr8")), irqchip=_NO_CHIP),
    Kind("xsetbv", "XSETBV of XCR0", _one(_vmx(55, "XSETBV"), _svm(0x8D, "xsetbv"))),
    Kind("wbinvd", "WBINVD", _one(_vmx(54, "WBINVD"), _svm(0x89, "wbinvd"))),
    Kind("invd", "INVD", _one(_vmx(13, "INVD"), _svm(0x76, "invd"))),
    Kind("monitor", "MONITOR", _one(_vmx(39, "MONITOR_INSTRUCTION"), _svm(0x8A, "monitor"))),
    Kind("mwait", "MWAIT", _one(_vmx(36, "MWAIT_INSTRUCTION"), _svm(0x8B, "mwait"))),
    Kind("ud", "UD2, handed back to the guest",
         _one(_vmx(0, "EXCEPTION_NMI"), _svm(0x46, "UD excp"))),
    # After such an injection KVM forces an immediate exit, by the VMX timer or an interrupt.
    Kind("irq", "interrupt, requested by a ring",
         (*_one(*IO, DABT), *_any(VMX_TIMER)), user=_USER_BELL, injects=1,
         irqchip={**_NO_CHIP, ARM64: True}),
    Kind("irqwin", "interrupt that waits for STI", (*_one(*IO, *WINDOW), *_any(VMX_TIMER)),
         user=_USER_WINDOW,
         injects=1, irqchip=_NO_CHIP),
    # Whether a PAUSE exits depends on ple_gap, ple_window and the CPU.
    Kind("pause", "PAUSE", _any(_vmx(40, "PAUSE_INSTRUCTION"), _svm(0x77, "pause"))),
    Kind("spin", "1000 turns of an empty loop",
         tuple(rule for isa in ISAS for rule in _any(*sorted(ANY_TIME[isa])))),
)
# fmt: on

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _TABLE}

# A vCPU's first faults. x64: three levels of page tables, the code, and the block that holds
# parameters, descriptors and the stack. arm64 runs with its MMU off: the code, the parameters.
START: Final = Kind(
    "start", "first use of a vCPU", (Rule(EPT_VIOLATION, 5), Rule(NPF, 5), *_one(IABT, DABT))
)
BELL: Final = Kind("bell", "ring of the doorbell", _one(*IO, DABT), user=_USER_BELL)
