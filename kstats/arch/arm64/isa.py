"""ARM64: the exception classes of ESR_EL2 (Arm ARM DDI 0487, D24.2) and KVM's return codes.

An exit is a trap, identified by its exception class, or it has another cause, identified by KVM's
return code; return codes have the qualifier ``RETURN_CODE``. What KVM does with each:
arch/arm64/kvm/handle_exit.c. Traps that its EL2 code handles alone are not exits.
"""

from __future__ import annotations

from kstats.arch.arm64 import details, spellings, trace_format
from kstats.arch.base import (
    NO_ADVICE,
    NUMBER_BITS,
    OTHER,
    Advice,
    Category,
    Isa,
    NameTable,
    Reason,
    by_code,
)

RETURN_CODE = 1
ARM_EXCEPTION_TRAP = 2

_RETURN = RETURN_CODE << NUMBER_BITS
_CONSTANT = "arch/arm64/include/asm/kvm_asm.h, ARM_EXCEPTION_"


def _trap(  # noqa: PLR0913 - a row of the table
    code: int,
    name: str,
    column: str,
    category: Category,
    meaning: str,
    *,
    advice: Advice = NO_ADVICE,
    printed: bool = True,
) -> Reason:
    """Return a trap, with its exception class as the Arm ARM writes it: in binary."""
    source = f"Arm ARM (DDI 0487), ESR_EL2.EC {code:#08b}"
    return Reason(code, name, column, category, meaning, source, advice, printed)


_KVM = "Linux arch/arm64/kvm/"
_UNDEFINED = "KVM injects an undefined exception: check the guest's log for SIGILL"
_LAZY = _KVM + "hyp/include/hyp/switch.h kvm_hyp_handle_fpsimd(): first use"

# The formatter would spread each row over nine lines.
# fmt: off
_TRAPS = (
    _trap(0x00, "UNKNOWN", OTHER, Category.EXCEPTION,
          "Guest executed an undefined instruction, or the cause is not classified",
          advice=Advice(
               causes=("the guest executed an instruction that its CPU lacks or that KVM hides",),
               remedies=("check the guest's log: KVM injects an undefined exception",),
               sources=(_KVM + "handle_exit.c kvm_handle_unknown_ec()",))),
    _trap(0x01, "WFx", "wfx_inst", Category.IDLE,
          "Guest executed WFI (idle) or WFE (spinning on a lock)",
          advice=Advice(
               causes=(
                   "WFI: an idle guest, one exit each time a vCPU runs out of work; harmless",
                   "WFE: a vCPU spins on a lock while another task wants to run on its CPU",
               ),
               remedies=(
                   "nothing to do if the host CPU is idle too; for latency: kvm halt_poll_ns",
                   "to tell WFI from WFE: the kernel's event kvm_wfx_arm64",
                   "many WFE: the host is overcommitted; check steal time in the guest",
               ),
               sources=(_KVM + "arm.c kvm_vcpu_should_clear_twe(); handle_exit.c",))),
    _trap(0x03, "CP15_32", "sys_inst", Category.REGISTER,
          "AArch32 guest accessed a CP15 system register (MCR, MRC)"),
    _trap(0x04, "CP15_64", "sys_inst", Category.REGISTER,
          "AArch32 guest accessed a CP15 system register (MCRR, MRRC)"),
    _trap(0x05, "CP14_MR", "sys_inst", Category.REGISTER,
          "AArch32 guest accessed a CP14 debug or trace register (MCR, MRC)"),
    _trap(0x06, "CP14_LS", "sys_inst", Category.REGISTER,
          "AArch32 guest accessed a CP14 debug register (LDC, STC)"),
    _trap(0x07, "FP_ASIMD", OTHER, Category.REGISTER,
          "Guest used floating-point or SIMD registers, which it lacks or its hypervisor traps",
          advice=Advice(
               causes=(
                   "a guest hypervisor traps them for its own guest (nested virtualization)",
                   "the host has no floating point; first use is never an exit",
               ),
               remedies=(_UNDEFINED,),
               sources=(_KVM + "handle_exit.c kvm_handle_fpasimd()", _LAZY))),
    _trap(0x08, "CP10_ID", OTHER, Category.REGISTER,
          "AArch32 guest read a floating-point ID register (VMRS)"),
    _trap(0x09, "PAC", OTHER, Category.REGISTER,
          "Guest used pointer authentication, which it does not have",
          advice=Advice(
               causes=(
                   "the guest has no pointer authentication, but its programs use it",
                   "a guest hypervisor traps it for its own guest (nested virtualization)",
               ),
               remedies=("create the VM with pointer authentication (QEMU: -cpu host,pauth=on)",),
               sources=(_KVM + "handle_exit.c kvm_handle_ptrauth()",))),
    _trap(0x0A, "OTHER", OTHER, Category.OTHER,
          "Guest used a trapped instruction such as LD64B or ST64B", printed=False),
    _trap(0x0C, "CP14_64", "sys_inst", Category.REGISTER,
          "AArch32 guest accessed a CP14 debug or trace register (MRRC)"),
    _trap(0x0D, "BTI", OTHER, Category.EXCEPTION,
          "Guest branched to an instruction that is not a valid branch target", printed=False),
    _trap(0x0E, "ILL", OTHER, Category.EXCEPTION, "Illegal execution state", printed=False),
    _trap(0x11, "SVC32", OTHER, Category.OTHER,
          "AArch32 system call that is routed to EL2", printed=False),
    _trap(0x12, "HVC32", OTHER, Category.HYPERCALL,
          "AArch32 guest made a hypercall with HVC: PSCI and other services", printed=False),
    _trap(0x13, "SMC32", "smc_inst", Category.HYPERCALL,
          "AArch32 guest executed SMC: PSCI or another firmware call", printed=False),
    _trap(0x14, "SYSREG128", "sys_inst", Category.REGISTER,
          "Guest accessed a trapped 128-bit system register (MSRR, MRRS, SYSP)", printed=False),
    _trap(0x15, "SVC64", OTHER, Category.OTHER, "System call trapped for a nested hypervisor"),
    _trap(0x16, "HVC64", OTHER, Category.HYPERCALL,
          "Guest made a hypercall with HVC: PSCI, stolen time and other services",
          advice=Advice(
               causes=(
                   "PSCI: vCPUs are switched on or off, or suspended for idle (CPU_SUSPEND)",
                   "SMCCC services: stolen time, true random numbers, PTP clock, mitigations",
               ),
               remedies=(
                   "if the guest idles through PSCI: use WFI, which costs less (cpuidle.off=1)",
                   "to see which functions: kstats exits --detail hypercall",
               ),
               sources=(_KVM + "hypercalls.c, psci.c; Documentation/virt/kvm/arm/",))),
    _trap(0x17, "SMC64", "smc_inst", Category.HYPERCALL,
          "Guest executed SMC: PSCI or another firmware call",
          advice=Advice(
               causes=(
                   "the guest calls firmware: PSCI by method smc, or an SMCCC mitigation call",
               ),
               remedies=(
                   "set the PSCI method to hvc in the device tree or ACPI",
                   "if a mitigation is in a hot path: check whether the guest's CPU needs it",
                   "check whether the VMM's SMCCC filter sends the calls to user space: slow",
               ),
               sources=(_KVM + "handle_exit.c handle_smc(), hypercalls.c",))),
    _trap(0x18, "SYS64", "sys_inst", Category.REGISTER,
          "Guest accessed a trapped system register: timer, GIC, ID, ...",
          advice=Advice(
               causes=(
                   "ICC_SGI1R_EL1: the guest sends an IPI (wake-ups, TLB shootdowns in software)",
                   "CNTP_*: the physical timer, without VHE or with an offset and no FEAT_ECV",
                   "PMU registers: perf in the guest; ID registers: program starts, early boot",
               ),
               remedies=(
                   "reduce wake-ups between vCPUs: pin the guest's threads, use fewer vCPUs",
                   "use GICv4.1, which delivers IPIs without exits; stop perf in the guest",
                   "use the virtual timer (CNTV_*), as Linux does by default",
                   "to see which registers: kstats exits --detail sysreg",
               ),
               sources=(_KVM + "sys_regs.c, arch_timer.c timer_set_traps(), vgic/vgic-v3.c",))),
    _trap(0x19, "SVE", OTHER, Category.REGISTER,
          "Guest used SVE, which it lacks or its hypervisor traps",
          advice=Advice(
               causes=(
                   "the guest's CPU has no SVE, but a program uses it; first use is never an exit",
                   "a guest hypervisor traps it for its own guest (nested virtualization)",
               ),
               remedies=(
                   "create the VM with SVE (QEMU: -cpu host,sve=on), or fix the program",
                   _UNDEFINED,
               ),
               sources=(_KVM + "handle_exit.c handle_sve()", _LAZY))),
    _trap(0x1A, "ERET", OTHER, Category.OTHER,
          "Guest hypervisor executed ERET (nested virtualization)"),
    _trap(0x1B, "TSTART", OTHER, Category.OTHER,
          "Guest executed TSTART (transactional memory), which KVM does not support",
          printed=False),
    _trap(0x1C, "FPAC", OTHER, Category.EXCEPTION,
          "Guest failed a pointer authentication", printed=False),
    _trap(0x1D, "SME", OTHER, Category.REGISTER,
          "Guest used SME, which KVM does not offer to guests or its hypervisor traps",
          printed=False),
    _trap(0x1E, "GPC", OTHER, Category.MEMORY,
          "Granule protection check failed: the memory belongs to another world (RME)",
          printed=False),
    _trap(0x1F, "IMP_DEF", OTHER, Category.OTHER,
          "Implementation-defined exception to EL3; never an exit by the architecture"),
    _trap(0x20, "IABT_LOW", "inst_abt", Category.MEMORY,
          "Guest fetched an instruction from memory that stage 2 does not map",
          advice=Advice(
               causes=(
                   "first execution of a page: the guest starts, or maps programs and libraries",
                   "the host reclaimed or moved pages: swap, KSM, page migration",
               ),
               remedies=(
                   "after a start it stops by itself; huge pages and preallocation shorten it",
                   "if it persists: check swap (vmstat si so), KSM and numa_balancing on the host",
               ),
               sources=(_KVM + "mmu.c kvm_handle_guest_abort()",))),
    _trap(0x21, "IABT_CUR", OTHER, Category.MEMORY,
          "Instruction abort in the hypervisor itself"),
    _trap(0x22, "PC_ALIGN", OTHER, Category.EXCEPTION, "Misaligned program counter"),
    _trap(0x24, "DABT_LOW", "data_abt", Category.MEMORY,
          "Guest accessed memory that stage 2 does not map or permit; also MMIO",
          advice=Advice(
               causes=(
                   "first touch of memory: the guest has just started, or its balloon was deflated",
                   "MMIO of an emulated device, virtio kicks included: one code for both",
                   "GICv2 emulation, or GICv3's distributor: the guest changes interrupt settings",
                   "dirty logging: live migration or a snapshot write-protects all memory",
               ),
               remedies=(
                   "to separate memory from MMIO: kstats exits --detail page",
                   "memory: preallocate, use huge pages (hugetlbfs or THP); check swap and KSM",
                   "MMIO: use virtio or VFIO in place of emulated devices, reduce kicks, use GICv3",
               ),
               sources=(_KVM + "mmu.c kvm_handle_guest_abort(), mmio.c io_mem_abort()",))),
    _trap(0x25, "DABT_CUR", OTHER, Category.MEMORY,
          "Data abort at EL2: the VNCR page of a nested guest hypervisor"),
    _trap(0x26, "SP_ALIGN", OTHER, Category.EXCEPTION, "Misaligned stack pointer"),
    _trap(0x27, "MOPS", OTHER, Category.EXCEPTION,
          "Guest moved to a different type of CPU during a memory copy or set instruction",
          printed=False),
    _trap(0x28, "FP_EXC32", OTHER, Category.EXCEPTION,
          "AArch32 guest raised a trapped floating-point exception"),
    _trap(0x2C, "FP_EXC64", OTHER, Category.EXCEPTION,
          "Guest raised a trapped floating-point exception"),
    _trap(0x2D, "GCS", OTHER, Category.EXCEPTION,
          "Guest violated its guarded control stack, or used it while it is trapped",
          printed=False),
    _trap(0x30, "BREAKPT_LOW", OTHER, Category.EXCEPTION,
          "Guest hit a hardware breakpoint set by a debugger on the host"),
    _trap(0x31, "BREAKPT_CUR", OTHER, Category.EXCEPTION,
          "Hardware breakpoint in the hypervisor itself"),
    _trap(0x32, "SOFTSTP_LOW", OTHER, Category.EXCEPTION,
          "Guest was single-stepped by a debugger on the host"),
    _trap(0x33, "SOFTSTP_CUR", OTHER, Category.EXCEPTION, "Single step in the hypervisor itself"),
    _trap(0x34, "WATCHPT_LOW", OTHER, Category.EXCEPTION,
          "Guest hit a watchpoint set by a debugger on the host"),
    _trap(0x35, "WATCHPT_CUR", OTHER, Category.EXCEPTION, "Watchpoint in the hypervisor itself"),
    _trap(0x38, "BKPT32", OTHER, Category.EXCEPTION,
          "AArch32 guest executed BKPT while a debugger on the host is attached"),
    _trap(0x3A, "VECTOR32", OTHER, Category.EXCEPTION, "AArch32 guest hit a vector catch"),
    _trap(0x3C, "BRK64", OTHER, Category.EXCEPTION,
          "Guest executed BRK while a debugger on the host is attached"),
    _trap(0x3D, "PROFILING", OTHER, Category.EXCEPTION,
          "Guest took a profiling exception of its PMU, SPE or trace buffer", printed=False),
)
_RETURN_CODES = (
    Reason(_RETURN | 0, "IRQ", "ints", Category.INTERRUPT,
           "A host interrupt (IRQ or FIQ) arrived while the guest was running: timer, device, IPI",
           _CONSTANT + "IRQ",
           Advice(
               causes=(
                   "the guest's own timer expired: the host receives its interrupt first",
                   "the host's timer tick, devices and IPIs, on CPUs that run guests",
               ),
               remedies=(
                   "reduce timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250",
                   "move interrupts elsewhere: /proc/irq/*/smp_affinity, isolcpus, nohz_full",
                   "use GICv4: interrupts of passed-through devices need no exits",
               ),
               sources=(_KVM + "arch_timer.c kvm_arch_timer_handler(), hyp/hyp-entry.S",))),
    Reason(_RETURN | 1, "SERROR", OTHER, Category.EXCEPTION,
           "A system error (asynchronous abort) arrived while the guest was running",
           _CONSTANT + "EL1_SERROR",
           Advice(
               causes=(
                   "the hardware reported an asynchronous error of memory, bus or device (RAS)",
               ),
               remedies=(
                   "check the host's kernel log and rasdaemon; the guest is rarely the cause",
               ),
               sources=(_KVM + "handle_exit.c handle_exit_early(), kvm_handle_guest_serror()",))),
    Reason(_RETURN | 3, "IL", OTHER, Category.OTHER,
           "KVM cannot enter the guest: its execution state is illegal",
           _CONSTANT + "IL", printed=False),
    Reason(_RETURN | 0xBADCA11, "HYP_GONE", OTHER, Category.OTHER,
           "KVM lost EL2: the host is shutting down or rebooting", _CONSTANT + "HYP_GONE"),
)
# fmt: on

REASONS = by_code(*_TRAPS, *_RETURN_CODES)

CATEGORY_NOTES = {
    Category.INTERRUPT: (
        (
            "`IRQ` only. A guest accesses its interrupt controller through system registers (GICv3:"
            " `register`) or memory (GICv2: `memory`), and its timer through system registers, so"
            " `interrupt` is smaller and `register` larger than on x86."
        ),
    ),
    Category.MEMORY: ("`DABT_LOW` is one code for MMIO and for missing memory (stage-2 faults).",),
    Category.IO: ("There are no I/O ports: the same devices cause exits in `memory`.",),
    Category.REGISTER: (
        (
            "The identification registers are system registers, and KVM traps them as `SYS64`; on"
            " x86 that is CPUID."
        ),
        (
            "The first use of FP and SVE registers is not counted: KVM's EL2 code handles it"
            " without an exit. `FP_ASIMD`, `SVE` and `SME` mean that the guest lacks the feature."
        ),
    ),
    Category.IDLE: (
        (
            "`WFx` is one code for WFI (idle) and WFE (spinning), so `idle` includes what `spin`"
            " counts on other ISAs."
        ),
    ),
    Category.SPIN: ("Always empty: see `idle`.",),
    Category.EXCEPTION: ("Trapped exceptions of any kind, and system errors.",),
}

ARM64 = Isa(
    name="arm64",
    title="ARM64",
    reasons=REASONS,
    tables=(
        # An SError arrives through a vector of its own: its class 0x2f is never that of a trap,
        # and the name SERROR is the return code's.
        NameTable("REC->esr_ec", unused=frozenset({0x2F})),
        NameTable("REC->ret", qualifier=RETURN_CODE, unused=frozenset({ARM_EXCEPTION_TRAP})),
    ),
    category_notes=CATEGORY_NOTES,
    spellings=spellings.ARM64,
    event=trace_format.ARM64,
    details=details.KINDS,
)
