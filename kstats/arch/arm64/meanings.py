"""What each ARM64 exit means to an operator, and its source: {name: (meaning, source)}.

Sources are the values of ESR_EL2.EC in the Arm ARM (DDI 0487), and the kernel's
arch/arm64/include/asm/kvm_asm.h for the return codes that are KVM's own. What KVM does with
each is in arch/arm64/kvm/handle_exit.c; what its code at EL2 settles alone is no exit.
"""

_RETURN_CODE = "arch/arm64/include/asm/kvm_asm.h, ARM_EXCEPTION_"


def _ec(number: int) -> str:
    return f"Arm ARM (DDI 0487), ESR_EL2.EC {number:#08b}"


MEANINGS: dict[str, tuple[str, str]] = {
    "UNKNOWN": ("Guest executed something undefined or otherwise unclassified", _ec(0x00)),
    "WFx": ("Guest executed WFI (nothing to do) or WFE (spinning on a lock)", _ec(0x01)),
    "CP15_32": ("AArch32 guest accessed a CP15 system register (MCR, MRC)", _ec(0x03)),
    "CP15_64": ("AArch32 guest accessed a CP15 system register (MCRR, MRRC)", _ec(0x04)),
    "CP14_MR": ("AArch32 guest accessed a CP14 debug or trace register (MCR, MRC)", _ec(0x05)),
    "CP14_LS": ("AArch32 guest accessed a CP14 debug register (LDC, STC)", _ec(0x06)),
    "FP_ASIMD": ("Guest used floating-point or SIMD registers that are trapped", _ec(0x07)),
    "CP10_ID": ("AArch32 guest read a floating-point ID register (VMRS)", _ec(0x08)),
    "PAC": ("Guest used pointer authentication that is trapped", _ec(0x09)),
    "OTHER": ("Guest used a trapped instruction such as LD64B or ST64B", _ec(0x0A)),
    "CP14_64": ("AArch32 guest accessed a CP14 debug or trace register (MRRC)", _ec(0x0C)),
    "BTI": ("Branch target exception: a branch landed where it must not", _ec(0x0D)),
    "ILL": ("Illegal execution state", _ec(0x0E)),
    "SVC32": ("AArch32 system call routed to EL2", _ec(0x11)),
    "HVC32": ("AArch32 guest made a hypercall with HVC: PSCI and other services", _ec(0x12)),
    "SMC32": ("AArch32 guest executed SMC: PSCI or another firmware call", _ec(0x13)),
    "SVC64": ("System call trapped for a nested hypervisor", _ec(0x15)),
    "HVC64": ("Guest made a hypercall with HVC: PSCI, stolen time and other services", _ec(0x16)),
    "SMC64": ("Guest executed SMC: PSCI or another firmware call", _ec(0x17)),
    "SYS64": ("Guest accessed a trapped system register: timer, GIC, ID, ...", _ec(0x18)),
    "SVE": ("Guest used SVE that is trapped", _ec(0x19)),
    "ERET": ("Guest hypervisor executed ERET (nested virtualization)", _ec(0x1A)),
    "FPAC": ("Guest failed a pointer authentication", _ec(0x1C)),
    "SME": ("Guest used SME that is trapped", _ec(0x1D)),
    "IMP_DEF": ("Implementation-defined exception; the architecture has it at EL3 only", _ec(0x1F)),
    "IABT_LOW": ("Guest fetched an instruction from memory stage 2 does not map", _ec(0x20)),
    "IABT_CUR": ("Instruction abort of the hypervisor itself", _ec(0x21)),
    "PC_ALIGN": ("Misaligned program counter", _ec(0x22)),
    "DABT_LOW": ("Guest touched memory stage 2 does not map or permit; MMIO too", _ec(0x24)),
    "DABT_CUR": ("Data abort at EL2: the VNCR page of a nested guest hypervisor", _ec(0x25)),
    "SP_ALIGN": ("Misaligned stack pointer", _ec(0x26)),
    "MOPS": ("Guest moved to another kind of CPU amid a memory copy or set instruction", _ec(0x27)),
    "FP_EXC32": ("AArch32 guest raised a trapped floating-point exception", _ec(0x28)),
    "FP_EXC64": ("Guest raised a trapped floating-point exception", _ec(0x2C)),
    "GCS": ("Guest violated its guarded control stack or used it while trapped", _ec(0x2D)),
    "BREAKPT_LOW": ("Guest hit a hardware breakpoint its debugger on the host set", _ec(0x30)),
    "BREAKPT_CUR": ("Hardware breakpoint in the hypervisor itself", _ec(0x31)),
    "SOFTSTP_LOW": ("Guest was single-stepped by a debugger on the host", _ec(0x32)),
    "SOFTSTP_CUR": ("Single step in the hypervisor itself", _ec(0x33)),
    "WATCHPT_LOW": ("Guest hit a watchpoint its debugger on the host set", _ec(0x34)),
    "WATCHPT_CUR": ("Watchpoint in the hypervisor itself", _ec(0x35)),
    "BKPT32": ("AArch32 guest executed BKPT under a debugger on the host", _ec(0x38)),
    "VECTOR32": ("AArch32 guest hit a vector catch", _ec(0x3A)),
    "BRK64": ("Guest executed BRK under a debugger on the host", _ec(0x3C)),
    "IRQ": (
        "An interrupt of the host arrived while the guest ran: timer, device, IPI",
        _RETURN_CODE + "IRQ",
    ),
    "SERROR": (
        "A system error (asynchronous abort) arrived while the guest ran",
        _RETURN_CODE + "EL1_SERROR",
    ),
    "IL": ("KVM cannot enter the guest: its execution state is illegal", _RETURN_CODE + "IL"),
    "HYP_GONE": ("KVM lost EL2: the host is going down or rebooting", _RETURN_CODE + "HYP_GONE"),
}
