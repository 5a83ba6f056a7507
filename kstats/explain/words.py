"""Words that are no exit reasons themselves: exceptions, features, module parameters, events.

A row has the meaning, the exit reasons that it is about, and what to read further; the reasons
have the causes and remedies. Words that stand for reasons, such as an instruction, have no meaning
of their own here.
"""

from __future__ import annotations

_NPF = "vmx:48 svm:0x400 arm64:0x24 arm64:0x20"
_TIMERS = (
    "the guest arms its timer (a register write), and it expires (an interrupt of the host)",
    "vmx:52 vmx:32 vmx:1 svm:0x60 svm:msr:wr arm64:IRQ arm64:0x18",
    "Linux arch/x86/kvm/lapic.c, arch/arm64/kvm/arch_timer.c",
)
_EXCEPTION = (
    "Intel has one code for all; AMD has 0x40 + vector, of which KVM intercepts those below",
    "vmx:0 svm:0x41 svm:0x43 svm:0x46 svm:0x4d svm:0x4e svm:0x51 svm:0x52",
    "APM vol. 2 App. C; Linux arch/x86/kvm/svm/svm.c init_vmcb()",
)

_HYPER_V = (
    "Windows guests use Hyper-V's interface if QEMU offers it (hv-*): synthetic MSRs, hypercalls",
    "vmx:31 vmx:32 vmx:18 svm:msr:rd svm:msr:wr svm:0x81",
    "QEMU docs/system/i386/hyperv.rst; Linux arch/x86/kvm/hyperv.c",
)
_TRAP = (
    "ARM64: KVM's return code for a trap; the exit reason is the exception class after it (EC)",
    "",
    "Linux arch/arm64/include/asm/kvm_asm.h, ARM_EXCEPTION_TRAP",
)

EXCEPTIONS: dict[str, tuple[int, str]] = {
    "DE": (0, "divide error"),
    "DB": (1, "debug exception: breakpoints, single step, bus-lock trap"),
    "BP": (3, "breakpoint: INT3"),
    "OF": (4, "overflow: INTO"),
    "BR": (5, "BOUND range exceeded"),
    "UD": (6, "invalid opcode"),
    "NM": (7, "FPU or AMX state not available"),
    "DF": (8, "double fault"),
    "TS": (10, "invalid TSS"),
    "NP": (11, "segment not present"),
    "SS": (12, "stack fault"),
    "GP": (13, "general protection fault"),
    "PF": (14, "page fault of the guest's own page tables"),
    "MF": (16, "x87 floating-point error"),
    "AC": (17, "alignment check; on Intel also split locks"),
    "MC": (18, "machine check"),
    "XM": (19, "SIMD floating-point exception"),
    "XF": (19, "SIMD floating-point exception"),
    "VE": (20, "virtualization exception (Intel)"),
    "CP": (21, "control protection: shadow stacks, indirect branches"),
    "HV": (28, "hypervisor injection (AMD SEV-SNP)"),
    "VC": (29, "VMM communication (AMD SEV-ES)"),
    "SX": (30, "security exception (AMD)"),
}
"""By mnemonic: vector and meaning."""

EXCEPTION_SOURCE = "SDM vol. 3, Interrupt and Exception Handling; APM vol. 2 8.2, Vectors"

_EXIT_EVENT = (
    "VMX: the exception or the interrupt that caused the exit",
    "vmx:0 vmx:1",
    "SDM vol. 3, Information for VM Exits Due to Vectored Events",
)
_DELIVERY = (
    "the event that was being delivered to the guest when it exited; KVM delivers it again",
    "",
    "SDM vol. 3, IDT-vectoring information; APM vol. 2 15.7.2, EXITINTINFO",
)
_EXIT_INFO = (
    "SVM: details of an exit; what they mean depends on the exit code (npf: 1 error, 2 address)",
    "",
    "APM vol. 2 15.7.1 and appendix C",
)
_PROTECTION = (
    "exception 13 (#GP): the guest did what its privileges or a register do not permit",
    "vmx:0 svm:0x4d",
    "SDM vol. 3, Interrupt 13; APM vol. 2 8.2.14",
)
_PM_TIMER = (
    "the ACPI power-management timer: a clock source that takes an exit to the VMM for each read",
    "vmx:30 svm:0x7b",
    "ACPI specification 4.8.3.3; Linux drivers/clocksource/acpi_pm.c",
)

WORDS: dict[str, tuple[str, str, str]] = {
    # What perf, trace-cmd, kvm_stat and the kernel print in place of a reason.
    "UNKNOWN": (
        (
            "perf, trace-cmd, kvm_stat and kvmexit print it for a code they have no name for; the"
            " number after it is the code: kstats explain NUMBER"
        ),
        "arm64:0x00",
        "tools/lib/traceevent, tools/perf/util/kvm-stat-arch",
    ),
    "TRAP": _TRAP,
    "VMEXIT": (
        "the CPU leaves the guest, which the event kvm_exit reports; the reason says why",
        "",
        "SDM vol. 3, VM Exits; APM vol. 2 15.6, #VMEXIT",
    ),
    "VM EXIT": (
        "the CPU leaves the guest, which the event kvm_exit reports; the reason says why",
        "",
        "SDM vol. 3, VM Exits; APM vol. 2 15.6, #VMEXIT",
    ),
    "VM ENTRY": ("the CPU enters the guest, which the event kvm_entry reports", "", ""),
    "FAILED VMENTRY": (
        "VMX: bit 31 of a reason: the processor refused the entry, so the guest did not run",
        "vmx:0x80000021 vmx:0x80000022 vmx:0x80000029",
        "SDM vol. 3, VM-Entry Failures During or After Loading Guest State",
    ),
    "EXIT REASON": ("the number by which the hardware says why it left the guest", "", ""),
    "ERR": ("", "svm:0xffffffff", ""),
    # Events and instructions with other names in the reasons.
    "NMI": ("", "vmx:0 vmx:8 svm:0x61 svm:0x74", ""),
    "SMI": ("", "vmx:5 vmx:6 svm:0x62", ""),
    "INIT": ("", "vmx:3 svm:0x63", ""),
    "IRQ": ("", "vmx:1 svm:0x60 arm64:IRQ", ""),
    "FIQ": (
        "ARM64: a host interrupt of the other kind; KVM counts it with IRQ",
        "arm64:IRQ",
        "Linux arch/arm64/kvm/hyp/hyp-entry.S, el1_fiq",
    ),
    "EXTERNAL INTERRUPT": ("", "vmx:1 svm:0x60 arm64:IRQ", ""),
    "INTERRUPT WINDOW": ("", "vmx:7 svm:0x64", ""),
    "TRIPLE FAULT": ("", "vmx:2 svm:0x7f", ""),
    "SHUTDOWN": ("", "vmx:2 svm:0x7f", ""),
    "SHUTDOWN EVENT": ("", "svm:0x7f", ""),
    "VIRTUAL NMI PENDING": ("", "vmx:8", ""),
    "EXIT INTERRUPTION INFO": _EXIT_EVENT,
    "IDT VECTORING INFO": _DELIVERY,
    "EXITINTINFO": _DELIVERY,
    "EXIT INT INFO": _DELIVERY,
    "EXITINFO1": _EXIT_INFO,
    "EXITINFO2": _EXIT_INFO,
    "EXIT INFO 1": _EXIT_INFO,
    "EXIT INFO 2": _EXIT_INFO,
    "EXCP": ("", "vmx:0 svm:0x40", ""),
    "EXCEPTION": _EXCEPTION,
    "VMEXIT EXCEPTION": _EXCEPTION,
    "HYPERCALL": ("", "vmx:18 svm:0x81 arm64:0x16 arm64:0x12 arm64:0x17", ""),
    "VMCALL": ("", "vmx:18 svm:0x81", ""),
    "VMMCALL": ("", "vmx:18 svm:0x81", ""),
    "MSR": ("", "arm64:0x18", ""),  # and the x86 columns of that name
    "PSTATE": (
        "ARM64: the processor state; PSTATE.IL marks an illegal execution state",
        "arm64:0x0e arm64:IL",
        "Arm ARM (DDI 0487), Illegal exception returns",
    ),
    "ILLEGAL EXECUTION STATE": ("", "arm64:0x0e arm64:IL", ""),
    "PMU": (
        "the performance monitors: perf in the guest uses them; KVM emulates most accesses",
        "vmx:15 vmx:31 vmx:32 svm:0x6f svm:msr:rd svm:msr:wr arm64:0x18 arm64:0x3d",
        "Linux arch/x86/kvm/pmu.c, arch/arm64/kvm/pmu-emul.c",
    ),
    "TRBE": (
        "ARM64: the trace buffer extension, which KVM does not offer to guests",
        "arm64:0x18 arm64:0x3d",
        "Arm ARM (DDI 0487), Profiling exception",
    ),
    "SPE": (
        "ARM64: statistical profiling, which KVM does not offer to guests",
        "arm64:0x18 arm64:0x3d",
        "Arm ARM (DDI 0487), Profiling exception",
    ),
    "BREAKPOINT": ("", "arm64:0x30 arm64:0x31 arm64:0x3c arm64:0x38 vmx:0 svm:0x43", ""),
    "SOFTWARE STEP": ("", "arm64:0x32 arm64:0x33", ""),
    "SINGLE STEP": ("", "arm64:0x32 arm64:0x33 vmx:37 vmx:0 svm:0x41", ""),
    "WATCHPOINT": ("", "arm64:0x34 arm64:0x35", ""),
    "DATA ABORT": ("", "arm64:0x24 arm64:0x25", ""),
    "INSTRUCTION ABORT": ("", "arm64:0x20 arm64:0x21", ""),
    # Memory.
    "PAGE FAULT": (
        (
            "a fault of the guest's own page tables (#PF), or more often of the second level: EPT,"
            " NPT, stage 2"
        ),
        _NPF + " vmx:0 svm:0x4e",
        "",
    ),
    "NESTED PAGE FAULT": ("", _NPF, ""),
    "NPF": ("", "svm:0x400", ""),
    "GENERAL PROTECTION": _PROTECTION,
    "GENERAL PROTECTION FAULT": _PROTECTION,
    "NPT FAULT": ("", "svm:0x400", ""),
    "NPT VIOLATION": ("", "svm:0x400", ""),
    "EPT FAULT": ("", "vmx:48 vmx:49", ""),
    "EPT": ("Intel's second-level page tables", "vmx:48 vmx:49", "SDM vol. 3, EPT"),
    "NPT": ("AMD's second-level page tables", "svm:0x400", "APM vol. 2 15.25, Nested Paging"),
    "STAGE 2 FAULT": ("", "arm64:0x24 arm64:0x20", ""),
    "STAGE 2 ABORT": ("", "arm64:0x24 arm64:0x20", ""),
    "STAGE 2 DATA ABORT": ("", "arm64:0x24", ""),
    "STAGE 2 INSTRUCTION ABORT": ("", "arm64:0x20", ""),
    "STAGE 2 TRANSLATION FAULT": ("", "arm64:0x24 arm64:0x20", ""),
    "STAGE 2 PERMISSION FAULT": ("", "arm64:0x24 arm64:0x20", ""),
    "STAGE 2": ("ARM64's second-level page tables", "arm64:0x24 arm64:0x20", ""),
    "MMIO FAULT": ("", "vmx:49 vmx:48 svm:0x400 arm64:0x24", ""),
    "MMIO": (
        "accesses to memory-mapped devices",
        "vmx:49 vmx:48 svm:0x400 arm64:0x24",
        "Linux Documentation/virt/kvm/x86/mmu.rst",
    ),
    "DIRTY LOGGING": (
        "KVM records which pages the guest writes: live migration, snapshots",
        "vmx:62 vmx:48 svm:0x400 arm64:0x24",
        "Linux Documentation/virt/kvm/api.rst, KVM_GET_DIRTY_LOG",
    ),
    "PML": ("page-modification logging: Intel's dirty logging", "vmx:62", ""),
    "SHADOW PAGING": (
        "KVM maintains copies of the guest's page tables: without EPT or NPT, or for nested guests",
        "vmx:0 vmx:14 vmx:28 vmx:58 svm:0x4e svm:0x79 svm:0xa2",
        "Linux Documentation/virt/kvm/x86/mmu.rst",
    ),
    "GRANULE PROTECTION CHECK": ("", "arm64:0x1e", ""),
    # Interrupts and timers.
    "TIMER": _TIMERS,
    "ACPI PM": _PM_TIMER,
    "ACPI PM TIMER": _PM_TIMER,
    "PM TIMER": _PM_TIMER,
    "PMTIMER": _PM_TIMER,
    "ICR": (
        "the local APIC's interrupt command register: a guest that writes it sends an IPI",
        "vmx:56 vmx:32 vmx:44 svm:msr:wr svm:0x401 svm:0x400",
        "SDM vol. 3, Interrupt Command Register (ICR); APM vol. 2 16.5",
    ),
    "APIC TIMER": _TIMERS,
    "IPI": (
        "an interrupt from one vCPU to another: wake-ups and TLB shootdowns",
        "vmx:32 vmx:56 vmx:44 svm:msr:wr svm:0x401 svm:0x400 arm64:0x18",
        "",
    ),
    "KICK": (
        "virtio: the guest notifies a device; KVM: an IPI that makes a vCPU leave the guest",
        "vmx:49 vmx:30 svm:0x400 svm:0x7b arm64:0x24 vmx:1 svm:0x60 arm64:IRQ",
        "Virtual I/O Device specification, Available Buffer Notifications",
    ),
    "VIRTIO": (
        "paravirtual devices: the guest notifies a device (kick), which is an exit each time",
        "vmx:49 vmx:30 svm:0x400 svm:0x7b arm64:0x24",
        "Virtual I/O Device specification, Available Buffer Notifications",
    ),
    "VHOST": (
        "the kernel or another process handles virtio queues: kicks are exits, data needs none",
        "vmx:49 vmx:30 svm:0x400 svm:0x7b arm64:0x24",
        "Linux drivers/vhost/",
    ),
    "HYPER V": _HYPER_V,
    "HYPERV": _HYPER_V,
    "ENLIGHTENMENT": _HYPER_V,
    "IOEVENTFD": (
        "a virtio kick that the kernel forwards to vhost or the VMM; it is an exit all the same",
        "vmx:49 vmx:30 svm:0x400 svm:0x7b arm64:0x24",
        "Linux virt/kvm/eventfd.c",
    ),
    "AVIC": (
        "AMD's virtual interrupt controller: it delivers interrupts and IPIs without an exit",
        "svm:0x401 svm:0x402 svm:0x64",
        "APM vol. 2 15.29; kvm_amd avic=1",
    ),
    "APICV": (
        "Intel's APIC virtualization: it delivers interrupts without an exit",
        "vmx:44 vmx:45 vmx:56 vmx:43 vmx:7",
        "SDM vol. 3, APIC Virtualization and Virtual Interrupts; kvm_intel enable_apicv=1",
    ),
    "X2APIC": (
        "the local APIC as MSRs: with APICv or x2AVIC, most accesses need no exit",
        "vmx:31 vmx:32 svm:msr:rd svm:msr:wr",
        "SDM vol. 3, Extended XAPIC (x2APIC)",
    ),
    "XAPIC": (
        (
            "the local APIC as memory at 0xfee00000: on Intel APIC_ACCESS or APIC_WRITE, on AMD"
            " without AVIC npf"
        ),
        "vmx:44 vmx:56 svm:0x400 svm:0x402",
        "SDM vol. 3, Local APIC; APM vol. 2 16.3",
    ),
    "POSTED INTERRUPT": (
        (
            "the hardware delivers an interrupt to a running guest: no exit; without it,"
            " a device's interrupt exits"
        ),
        "vmx:1 svm:0x60 arm64:IRQ",
        "SDM vol. 3, Posted-Interrupt Processing; APM vol. 2 15.29; Arm GICv4",
    ),
    "IPI VIRTUALIZATION": (
        "the hardware sends the guest's IPIs without an exit",
        "vmx:56 vmx:32",
        "SDM vol. 3, IPI Virtualization; kvm_intel enable_ipiv=1",
    ),
    "HALT POLLING": (
        "KVM polls before it blocks a halted vCPU: halt_poll_ns of the module kvm, in nanoseconds",
        "vmx:12 svm:0x78 arm64:0x01",
        "Linux Documentation/virt/kvm/halt-polling.rst",
    ),
    # Spinning.
    "PLE": (
        "PAUSE-loop exiting: the processor exits when a guest spins on PAUSE for too long",
        "vmx:40 svm:0x77 arm64:0x01",
        "SDM vol. 3, PAUSE; APM vol. 2 15.14.4; Linux kvm_intel ple_gap, ple_window",
    ),
    "PAUSE LOOP EXITING": ("", "vmx:40 svm:0x77", ""),
    "PAUSE FILTER": ("", "svm:0x77", ""),
    "BUS LOCK": (
        "an atomic access that locks the memory bus; a split lock is the common kind",
        "vmx:74 svm:0xa5 svm:0x41",
        "Linux Documentation/arch/x86/buslock.rst",
    ),
    "SPLIT LOCK": (
        (
            "an atomic access across two cache lines; Intel raises #AC or reports a bus lock, AMD"
            " reports bus locks only"
        ),
        "vmx:74 vmx:0 svm:0xa5 svm:0x41",
        "Linux Documentation/arch/x86/buslock.rst",
    ),
    "NOTIFY WINDOW": ("", "vmx:75", ""),
    "NOTIFY": (
        "VMX: blocked event delivery; virtio: the guest notifies a device (kick)",
        "vmx:75 vmx:49 svm:0x400 arm64:0x24",
        "",
    ),
    # Confidential and nested guests.
    "SEV": ("AMD's encrypted guests (without registers): their exits are ordinary ones", "", ""),
    "SEV ES": (
        "AMD's guests with encrypted registers: they request services explicitly",
        "svm:0x403",
        "APM vol. 2 15.35; GHCB specification",
    ),
    "SEV SNP": ("AMD's guests with protected memory: as SEV-ES", "svm:0x403 svm:0x400", ""),
    "TDX": ("Intel's confidential guests", "vmx:77 vmx:76", "Linux Documentation/virt/kvm/x86/"),
    "TDVMCALL": (
        (
            "a TDX guest's request: CPUID, HLT, I/O and MSR accesses count under their own exit"
            " reasons, the rest as TDCALL"
        ),
        "vmx:77",
        "Linux arch/x86/kvm/vmx/tdx.c; Intel GHCI specification",
    ),
    "NESTED": (
        "a guest that runs guests: its virtualization instructions are exits",
        "vmx:24 vmx:20 vmx:23 vmx:25 svm:0x80 svm:0x82 svm:0x83 arm64:0x1a",
        "Linux Documentation/virt/kvm/x86/running-nested-guests.rst",
    ),
    "UNRESTRICTED GUEST": (
        "Intel: guests in real mode run natively; without it KVM emulates or fails the entry",
        "vmx:0x80000021 vmx:28",
        "SDM vol. 3, Unrestricted Guests",
    ),
    "PVM": (
        "the module kvm_pvm runs VMs without VMX or SVM: its exits have numbers of their own",
        "",
        "",
    ),
    "KVM PVM": (
        "the module kvm_pvm runs VMs without VMX or SVM: its exits have numbers of their own",
        "",
        "",
    ),
    # Parameters of modules that people find next to exits.
    "HALT POLL NS": (
        "module kvm: the longest time that KVM polls for a halted vCPU",
        "vmx:12 svm:0x78 arm64:0x01",
        "Linux Documentation/virt/kvm/halt-polling.rst",
    ),
    "PLE GAP": ("module kvm_intel: cycles between PAUSEs of a loop; 0: off", "vmx:40", ""),
    "PLE WINDOW": ("module kvm_intel: cycles that a PAUSE loop may take", "vmx:40", ""),
    "ENABLE APICV": ("module kvm_intel: APIC virtualization", "vmx:44 vmx:56 vmx:45", ""),
    "DUMP INVALID VMCS": (
        (
            "module kvm_intel: log the VMCS when an entry fails: echo 1 >"
            " /sys/module/kvm_intel/parameters/dump_invalid_vmcs"
        ),
        "vmx:0x80000021",
        "Linux arch/x86/kvm/vmx/vmx.c dump_vmcs()",
    ),
    "DUMP INVALID VMCB": (
        (
            "module kvm_amd: log the VMCB when an entry fails: echo 1 >"
            " /sys/module/kvm_amd/parameters/dump_invalid_vmcb"
        ),
        "svm:0xffffffff",
        "Linux arch/x86/kvm/svm/svm.c dump_vmcb()",
    ),
    "IGNORE MSRS": ("module kvm: accesses to unknown MSRs do not fault", "vmx:31 svm:msr:rd", ""),
    "TDP MMU": ("module kvm: the page-table code for EPT and NPT", "vmx:48 svm:0x400", ""),
    "UMIP": (
        "user-mode instruction prevention, which KVM emulates on processors without it",
        "vmx:46 vmx:47",
        "Linux arch/x86/kvm/vmx/vmx.c handle_desc()",
    ),
    "STEAL TIME": ("time in which a vCPU was ready, but the host ran something else", "", ""),
    "STOLEN TIME": ("time in which a vCPU was ready, but the host ran something else", "", ""),
}
"""By words in upper case: meaning (empty for other names of the reasons), reasons, source."""

FLAGS: dict[str, dict[int, str]] = {
    "vmx": {
        25: "a shadow stack was prematurely busy",
        26: "a bus lock was detected while the guest ran",
        27: "the guest ran an SGX enclave",
        28: "an MTF exit is pending",
        29: "an exit from VMX root operation (SMM)",
        31: "the entry failed: the guest did not run",
    },
}
"""By ISA and bit: what a bit above the reason says (SDM vol. 3, Basic VM-Exit Information)."""

CLASSES: dict[str, str] = {
    "UNKNOWN REASON": "0x00",
    "TRAPPED WF* INSTRUCTION EXECUTION": "0x01",
    "TRAPPED MCR OR MRC ACCESS WITH (COPROC==0B1111)": "0x03",
    "TRAPPED MCRR OR MRRC ACCESS WITH (COPROC==0B1111)": "0x04",
    "TRAPPED MCR OR MRC ACCESS WITH (COPROC==0B1110)": "0x05",
    "TRAPPED LDC OR STC ACCESS": "0x06",
    "ACCESS TO SME, SVE, ADVANCED SIMD OR FLOATING POINT FUNCTIONALITY": "0x07",
    "ACCESS TO SVE, ADVANCED SIMD OR FLOATING POINT FUNCTIONALITY": "0x07",
    "TRAPPED VMRS ACCESS": "0x08",
    "TRAPPED USE OF A POINTER AUTHENTICATION INSTRUCTION": "0x09",
    "POINTER AUTHENTICATION": "0x09",
    "TRAPPED EXECUTION OF ANY INSTRUCTION NOT COVERED BY OTHER EC VALUES": "0x0a",
    "TRAPPED EXECUTION OF AN LD64B OR ST64B* INSTRUCTION": "0x0a",
    "EXCEPTION FROM AN LD64B OR ST64B* INSTRUCTION": "0x0a",
    "TRAPPED MRRC ACCESS WITH (COPROC==0B1110)": "0x0c",
    "BRANCH TARGET EXCEPTION": "0x0d",
    "ILLEGAL EXECUTION STATE": "0x0e",
    "SVC INSTRUCTION EXECUTION IN AARCH32 STATE": "0x11",
    "HVC INSTRUCTION EXECUTION IN AARCH32 STATE": "0x12",
    "SMC INSTRUCTION EXECUTION IN AARCH32 STATE": "0x13",
    "TRAPPED MSRR, MRRS OR SYSTEM INSTRUCTION EXECUTION IN AARCH64 STATE": "0x14",
    "SVC INSTRUCTION EXECUTION IN AARCH64 STATE": "0x15",
    "HVC INSTRUCTION EXECUTION IN AARCH64 STATE": "0x16",
    "SMC INSTRUCTION EXECUTION IN AARCH64 STATE": "0x17",
    "TRAPPED MSR, MRS OR SYSTEM INSTRUCTION EXECUTION IN AARCH64 STATE": "0x18",
    "ACCESS TO SVE FUNCTIONALITY": "0x19",
    "TRAPPED ERET, ERETAA, OR ERETAB INSTRUCTION EXECUTION": "0x1a",
    "TRAPPED ERET": "0x1a",
    "EXCEPTION FROM AN ACCESS TO A TSTART INSTRUCTION": "0x1b",
    "EXCEPTION FROM A POINTER AUTHENTICATION INSTRUCTION AUTHENTICATION FAILURE": "0x1c",
    "EXCEPTION FROM A PAC FAIL": "0x1c",
    "PAC FAIL": "0x1c",
    "ACCESS TO SME FUNCTIONALITY": "0x1d",
    "GRANULE PROTECTION CHECK": "0x1e",
    "IMPLEMENTATION DEFINED EXCEPTION TO EL3": "0x1f",
    "INSTRUCTION ABORT FROM A LOWER EL": "0x20",
    "DATA ABORT FROM A LOWER EL": "0x24",
    "IABT (LOWER EL)": "0x20",
    "IABT (CURRENT EL)": "0x21",
    "DABT (LOWER EL)": "0x24",
    "DABT (CURRENT EL)": "0x25",
    "INSTRUCTION ABORT FROM A LOWER EXCEPTION LEVEL": "0x20",
    "INSTRUCTION ABORT TAKEN WITHOUT A CHANGE IN EXCEPTION LEVEL": "0x21",
    "PC ALIGNMENT FAULT": "0x22",
    "DATA ABORT FROM A LOWER EXCEPTION LEVEL": "0x24",
    "DATA ABORT EXCEPTION FROM A LOWER EXCEPTION LEVEL": "0x24",
    "DATA ABORT TAKEN WITHOUT A CHANGE IN EXCEPTION LEVEL": "0x25",
    "DATA ABORT EXCEPTION TAKEN WITHOUT A CHANGE IN EXCEPTION LEVEL": "0x25",
    "SP ALIGNMENT FAULT": "0x26",
    "MEMORY OPERATION EXCEPTION": "0x27",
    "TRAPPED FLOATING POINT EXCEPTION TAKEN FROM AARCH32 STATE": "0x28",
    "TRAPPED FLOATING POINT EXCEPTION TAKEN FROM AARCH64 STATE": "0x2c",
    "GCS EXCEPTION": "0x2d",
    "SERROR EXCEPTION": "SERROR",
    "SERROR INTERRUPT": "SERROR",
    "BREAKPOINT EXCEPTION FROM A LOWER EXCEPTION LEVEL": "0x30",
    "BREAKPOINT EXCEPTION TAKEN WITHOUT A CHANGE IN EXCEPTION LEVEL": "0x31",
    "SOFTWARE STEP EXCEPTION FROM A LOWER EXCEPTION LEVEL": "0x32",
    "SOFTWARE STEP EXCEPTION TAKEN WITHOUT A CHANGE IN EXCEPTION LEVEL": "0x33",
    "WATCHPOINT EXCEPTION FROM A LOWER EXCEPTION LEVEL": "0x34",
    "WATCHPOINT EXCEPTION TAKEN WITHOUT A CHANGE IN EXCEPTION LEVEL": "0x35",
    "BKPT INSTRUCTION EXECUTION IN AARCH32 STATE": "0x38",
    "VECTOR CATCH EXCEPTION FROM AARCH32 STATE": "0x3a",
    "BRK INSTRUCTION EXECUTION IN AARCH64 STATE": "0x3c",
    "PMU EXCEPTION": "0x3d",
    "PROFILING EXCEPTION": "0x3d",
}
"""The Arm ARM's titles of exception classes; a text may continue after one."""
