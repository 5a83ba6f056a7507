"""Why the system call KVM_RUN returned to the VMM: ``KVM_EXIT_*`` of linux/kvm.h.

Most VM exits end in the kernel; some of them continue as one of these. A row has the name without
``KVM_EXIT_``, the meaning, and the exit reasons that may lead to it.
"""

from __future__ import annotations

PREFIX = "KVM_EXIT_"
SOURCE = "Linux Documentation/virt/kvm/api.rst, the kvm_run structure"

_HYPERCALLS = "vmx:VMCALL svm:hypercall arm64:HVC64"
_S390 = "only on s390"

EXITS: dict[int, tuple[str, str, str]] = {
    0: ("UNKNOWN", "KVM does not know the hardware's exit reason, which follows in kvm_run", ""),
    1: ("EXCEPTION", "the guest raised an exception that KVM does not handle", "vmx:0"),
    2: ("IO", "the guest used an I/O port that the kernel does not emulate", "vmx:30 svm:0x7b"),
    3: (
        "HYPERCALL",
        "a hypercall that the VMM must handle: memory of confidential guests, or an SMCCC filter",
        _HYPERCALLS,
    ),
    4: (
        "DEBUG",
        "a breakpoint or a single step of a debugger on the host",
        "vmx:0 svm:0x41 svm:0x43 arm64:0x30 arm64:0x32 arm64:0x34 arm64:0x3c",
    ),
    5: (
        "HLT",
        "the guest halted, and the kernel has no interrupt controller that could wake it",
        "vmx:12 svm:0x78",
    ),
    6: (
        "MMIO",
        "the guest accessed a memory-mapped device that the kernel does not emulate",
        "vmx:48 vmx:49 svm:0x400 arm64:0x24",
    ),
    7: (
        "IRQ_WINDOW_OPEN",
        "the guest can accept the interrupt that a VMM without in-kernel irqchip waits to inject",
        "vmx:7 svm:0x64",
    ),
    8: ("SHUTDOWN", "the guest crashed or reset itself with a triple fault", "vmx:2 svm:0x7f"),
    9: (
        "FAIL_ENTRY",
        "the processor refused to enter the guest; the hardware's reason follows in kvm_run",
        "vmx:0x80000021 vmx:0x80000022 svm:0xffffffff",
    ),
    10: ("INTR", "a signal interrupted the vCPU thread, such as a kick of the VMM", ""),
    11: ("SET_TPR", "the guest changed its task priority; without in-kernel irqchip", "vmx:28"),
    12: (
        "TPR_ACCESS",
        "the guest accessed its task priority, which QEMU patches for 32-bit Windows",
        "vmx:44 svm:0x400",
    ),
    13: ("S390_SIEIC", "an intercepted instruction; " + _S390, ""),
    14: ("S390_RESET", "a reset; " + _S390, ""),
    15: ("DCR", "a device control register; only on PowerPC, not used any more", ""),
    16: ("NMI", "not used: KVM handles NMIs itself", ""),
    17: (
        "INTERNAL_ERROR",
        "KVM cannot continue: suberror 1 emulation, 2, 3 event delivery, 4 unexpected exit",
        "",
    ),
    18: ("OSI", "a paravirtual call of Mac-on-Linux; only on PowerPC", ""),
    19: ("PAPR_HCALL", "a hypercall; only on PowerPC (pSeries)", ""),
    20: ("S390_UCONTROL", "a translation fault of a user-controlled VM; " + _S390, ""),
    21: ("WATCHDOG", "the guest's watchdog expired; only on PowerPC", ""),
    22: ("S390_TSCH", "TEST SUBCHANNEL; " + _S390, ""),
    23: ("EPR", "the guest acknowledged an external interrupt; only on PowerPC", ""),
    24: (
        "SYSTEM_EVENT",
        "the guest shut down, reset, crashed or suspended: PSCI, Hyper-V crash, SEV, TDX",
        "arm64:0x16 arm64:0x17",
    ),
    25: ("S390_STSI", "STORE SYSTEM INFORMATION; " + _S390, ""),
    26: (
        "IOAPIC_EOI",
        "the guest ended a level-triggered interrupt of the VMM's IO-APIC (split irqchip)",
        "vmx:45 svm:0x402",
    ),
    27: ("HYPERV", "a Hyper-V request that the VMM must handle: SynIC, hypercalls", _HYPERCALLS),
    28: (
        "ARM_NISV",
        "an access to a device with an instruction that the hardware does not describe",
        "arm64:0x24",
    ),
    29: ("X86_RDMSR", "the guest read an MSR that the VMM emulates", "vmx:31 svm:msr:rd"),
    30: ("X86_WRMSR", "the guest wrote an MSR that the VMM emulates", "vmx:32 svm:msr:wr"),
    31: (
        "DIRTY_RING_FULL",
        "the ring of written pages is full: dirty logging, as in live migration",
        "vmx:62 vmx:48 svm:0x400 arm64:0x24",
    ),
    32: ("AP_RESET_HOLD", "a SEV-ES guest parked a vCPU until its start-up IPI", "svm:0x80000004"),
    33: ("X86_BUS_LOCK", "the guest acquired a bus lock (split lock)", "vmx:74 svm:0xa5"),
    34: ("XEN", "a Xen hypercall that the VMM must handle", _HYPERCALLS),
    35: ("RISCV_SBI", "a call of the firmware; only on RISC-V", ""),
    36: ("RISCV_CSR", "an access to a CSR that the VMM emulates; only on RISC-V", ""),
    37: ("NOTIFY", "the guest blocked event delivery for too long", "vmx:75"),
    38: ("LOONGARCH_IOCSR", "an access to an I/O CSR; only on LoongArch", ""),
    39: (
        "MEMORY_FAULT",
        "KVM cannot resolve a fault without the VMM: memory of confidential guests, or userfaults",
        "vmx:48 svm:0x400 arm64:0x24 arm64:0x20",
    ),
    40: ("TDX", "a TDX guest requested a service of the VMM", "vmx:77"),
    41: (
        "ARM_SEA",
        "the guest hit a hardware memory error: a synchronous external abort",
        "arm64:0x24 arm64:0x20",
    ),
    42: ("ARM_LDST64B", "a 64-byte access to a device (LD64B, ST64B)", "arm64:0x0a arm64:0x24"),
    43: ("SNP_REQ_CERTS", "a SEV-SNP guest requested an attestation report", "svm:0x80000012"),
}
"""By number: name, meaning, and the exit reasons that may lead to it."""

INTERNAL_ERRORS: dict[int, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    1: (
        "KVM_INTERNAL_ERROR_EMULATION",
        "KVM cannot emulate the guest's instruction",
        (
            "the guest runs in memory that is a device: it jumped to a wrong address",
            "an instruction that KVM's emulator lacks, on a device or in real mode",
            "a guest in real mode on a host without unrestricted guest",
        ),
        (
            "the lines after it have the instruction's bytes and its address (Code=, RIP=)",
            "check the guest's console; update the host's kernel and the guest's firmware",
        ),
    ),
    2: (
        "KVM_INTERNAL_ERROR_SIMUL_EX",
        "the guest raised an exception while KVM delivered another event",
        ("a guest's descriptor tables or stack lie in unmapped or device memory",),
        ("extra data[0] and [1] have both events (IDT vectoring and interruption information)",),
    ),
    3: (
        "KVM_INTERNAL_ERROR_DELIVERY_EV",
        "an exit that KVM cannot resume occurred while it delivered an event to the guest",
        (
            "the guest's stack or descriptor table is in MMIO or in unmapped memory",
            "a KVM bug with APIC virtualization; a guest that reset badly",
        ),
        (
            "extra data[0] has the event, [1] the exit reason, which kstats explain describes",
            "update the host's kernel and microcode",
        ),
    ),
    4: (
        "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON",
        "an exit for which KVM has no handler",
        (
            "an INIT signal, or an instruction that a modified or new processor intercepts",
            "KVM runs in a VM, and the hypervisor below reports exits that KVM did not ask for",
        ),
        (
            "extra data[0] and dmesg have the exit reason: kstats explain describes it",
            "use a CPU model without the feature; update the host's kernel",
        ),
    ),
}
"""By suberror: name, meaning, causes, remedies."""

SYSTEM_EVENTS: dict[str, str] = {
    "KVM_SYSTEM_EVENT_SHUTDOWN": "the guest asked to be powered off (PSCI SYSTEM_OFF)",
    "KVM_SYSTEM_EVENT_RESET": "the guest asked to be reset (PSCI SYSTEM_RESET, Hyper-V)",
    "KVM_SYSTEM_EVENT_CRASH": "the guest reported a crash (Hyper-V crash registers)",
    "KVM_SYSTEM_EVENT_WAKEUP": "a suspended vCPU has a wake-up event",
    "KVM_SYSTEM_EVENT_SUSPEND": "the guest asked to be suspended (PSCI SYSTEM_SUSPEND)",
    "KVM_SYSTEM_EVENT_SEV_TERM": "a SEV-ES guest asked to be terminated",
    "KVM_SYSTEM_EVENT_TDX_FATAL": "a TDX guest reported a fatal error",
}
