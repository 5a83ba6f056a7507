"""The causes of the RISC-V privileged architecture (volume II, scause), as Linux names them.

Names are those of arch/riscv/include/asm/csr.h, without ``EXC_``. Exceptions and interrupts are
numbered separately; an interrupt's number has :data:`INTERRUPT` as its qualifier.
"""

from __future__ import annotations

from kstats.arch.base import NUMBER_BITS, OTHER, Advice, Category, Reason, by_code

INTERRUPT = 1

_SCAUSE = "RISC-V privileged architecture, Supervisor Cause Register"

_WFI = Advice(
    causes=("WFI: an idle guest, one exit each time a vCPU runs out of work",),
    remedies=("none is needed if the host CPU is idle too; for latency: halt_poll_ns of kvm",),
)
_SBI = Advice(
    causes=("SBI calls: timers (without Sstc), IPIs and remote fences (without AIA)",),
    remedies=("use harts with Sstc and AIA; reduce timers and wake-ups in the guest",),
)


def _exception(number: int, name: str, meaning: str) -> Reason:
    source = f"{_SCAUSE}, exception {number}"
    return Reason(number, name, OTHER, Category.EXCEPTION, meaning, source)


def _fault(number: int, name: str, column: str, meaning: str) -> Reason:
    source = f"{_SCAUSE}, exception {number}"
    return Reason(number, name, column, Category.MEMORY, meaning, source)


def _interrupt(number: int, name: str, meaning: str) -> Reason:
    code, source = INTERRUPT << NUMBER_BITS | number, f"{_SCAUSE}, interrupt {number}"
    return Reason(code, name, "ints", Category.INTERRUPT, meaning, source)


# The formatter would spread each row over several lines.
# fmt: off
REASONS = by_code(
    _exception(0, "INST_MISALIGNED", "Guest jumped to a misaligned instruction"),
    _exception(1, "INST_ACCESS", "Guest fetched an instruction that physical memory forbids"),
    _exception(2, "INST_ILLEGAL", "Guest executed an illegal instruction"),
    _exception(3, "BREAKPOINT", "Guest executed EBREAK, or hit a trigger of the host's debugger"),
    _exception(4, "LOAD_MISALIGNED", "Guest loaded from a misaligned address"),
    _exception(5, "LOAD_ACCESS", "Guest made a load that physical memory forbids"),
    _exception(6, "STORE_MISALIGNED", "Guest stored to a misaligned address"),
    _exception(7, "STORE_ACCESS", "Guest made a store that physical memory forbids"),
    _exception(8, "SYSCALL", "System call in the guest's user mode; delegated to the guest"),
    _exception(9, "HYPERVISOR_SYSCALL", "Environment call of the hypervisor itself"),
    Reason(10, "SUPERVISOR_SYSCALL", "ecall", Category.HYPERCALL,
           "Guest kernel executed ECALL: an SBI call", f"{_SCAUSE}, exception 10", _SBI),
    _exception(12, "INST_PAGE_FAULT", "Page fault of a fetch; delegated to the guest"),
    _exception(13, "LOAD_PAGE_FAULT", "Page fault of a load; delegated to the guest"),
    _exception(15, "STORE_PAGE_FAULT", "Page fault of a store; delegated to the guest"),
    _exception(18, "SOFTWARE_CHECK", "Guest violated control-flow integrity"),
    _exception(19, "HARDWARE_ERROR", "The hardware reported an error"),
    _fault(20, "INST_GUEST_PAGE_FAULT", "inst_fault",
           "Guest fetched an instruction from memory that stage 2 does not map"),
    _fault(21, "LOAD_GUEST_PAGE_FAULT", "load_fault",
           "Guest loaded from memory that stage 2 does not map; also MMIO"),
    Reason(22, "VIRTUAL_INST_FAULT", "virt_inst", Category.REGISTER,
           "Guest executed WFI, or an instruction or CSR access that KVM emulates",
           f"{_SCAUSE}, exception 22", _WFI),
    _fault(23, "STORE_GUEST_PAGE_FAULT", "store_fault",
           "Guest stored to memory that stage 2 does not map; also MMIO"),
    _interrupt(1, "IRQ_S_SOFT", "A host IPI arrived while the guest was running"),
    _interrupt(2, "IRQ_VS_SOFT", "A guest software interrupt that is not delegated"),
    _interrupt(5, "IRQ_S_TIMER", "The host's timer expired while the guest was running"),
    _interrupt(6, "IRQ_VS_TIMER", "A guest timer interrupt that is not delegated"),
    _interrupt(9, "IRQ_S_EXT", "A host device interrupt arrived while the guest was running"),
    _interrupt(10, "IRQ_VS_EXT", "A guest external interrupt that is not delegated"),
    _interrupt(12, "IRQ_S_GEXT", "An interrupt arrived for a guest that is not running"),
    _interrupt(13, "IRQ_PMU_OVF", "A host performance counter overflowed in the guest"),
)
# fmt: on
