"""The causes of the RISC-V privileged architecture (volume II, scause), as Linux names them.

Names are those of arch/riscv/include/asm/csr.h, without ``EXC_``. Exceptions and interrupts are
two numberings; an interrupt's number has :data:`INTERRUPT` as its qualifier.
"""

from __future__ import annotations

INTERRUPT = 1

_EXCEPTION = "RISC-V privileged architecture, Supervisor Cause Register, exception"
_INTERRUPT = "RISC-V privileged architecture, Supervisor Cause Register, interrupt"

EXCEPTIONS: dict[int, tuple[str, str]] = {
    0: ("INST_MISALIGNED", "Guest jumped to a misaligned instruction"),
    1: ("INST_ACCESS", "Guest fetched an instruction from where physical memory forbids it"),
    2: ("INST_ILLEGAL", "Guest executed an illegal instruction"),
    3: ("BREAKPOINT", "Guest executed EBREAK, or hit a trigger that a debugger on the host set"),
    4: ("LOAD_MISALIGNED", "Guest loaded from a misaligned address"),
    5: ("LOAD_ACCESS", "Guest loaded from where physical memory forbids it"),
    6: ("STORE_MISALIGNED", "Guest stored to a misaligned address"),
    7: ("STORE_ACCESS", "Guest stored to where physical memory forbids it"),
    8: ("SYSCALL", "System call from the guest's user mode; KVM leaves it to the guest"),
    9: ("HYPERVISOR_SYSCALL", "Environment call of the hypervisor itself"),
    10: ("SUPERVISOR_SYSCALL", "Guest kernel executed ECALL: a call of the SBI"),
    12: ("INST_PAGE_FAULT", "Page fault of an instruction fetch; KVM leaves it to the guest"),
    13: ("LOAD_PAGE_FAULT", "Page fault of a load; KVM leaves it to the guest"),
    15: ("STORE_PAGE_FAULT", "Page fault of a store; KVM leaves it to the guest"),
    18: ("SOFTWARE_CHECK", "Guest broke a rule of control-flow integrity"),
    19: ("HARDWARE_ERROR", "The hardware reported an error"),
    20: ("INST_GUEST_PAGE_FAULT", "Guest fetched an instruction from memory stage 2 does not map"),
    21: ("LOAD_GUEST_PAGE_FAULT", "Guest loaded from memory stage 2 does not map; MMIO too"),
    22: ("VIRTUAL_INST_FAULT", "Guest executed WFI, or an instruction or CSR access KVM emulates"),
    23: ("STORE_GUEST_PAGE_FAULT", "Guest stored to memory stage 2 does not map; MMIO too"),
}

INTERRUPTS: dict[int, tuple[str, str]] = {
    1: ("IRQ_S_SOFT", "An IPI of the host arrived while the guest ran"),
    2: ("IRQ_VS_SOFT", "A software interrupt of the guest that is not delegated to it"),
    5: ("IRQ_S_TIMER", "The host's timer ran out while the guest ran"),
    6: ("IRQ_VS_TIMER", "A timer interrupt of the guest that is not delegated to it"),
    9: ("IRQ_S_EXT", "An interrupt of a device of the host arrived while the guest ran"),
    10: ("IRQ_VS_EXT", "An external interrupt of the guest that is not delegated to it"),
    12: ("IRQ_S_GEXT", "An interrupt came for a guest that does not run just now"),
    13: ("IRQ_PMU_OVF", "A performance counter of the host overflowed while the guest ran"),
}

NAMES = {number: name for number, (name, _) in EXCEPTIONS.items()} | {
    INTERRUPT << 32 | number: name for number, (name, _) in INTERRUPTS.items()
}

MEANINGS = {name: (meaning, f"{_EXCEPTION} {n}") for n, (name, meaning) in EXCEPTIONS.items()} | {
    name: (meaning, f"{_INTERRUPT} {n}") for n, (name, meaning) in INTERRUPTS.items()
}
