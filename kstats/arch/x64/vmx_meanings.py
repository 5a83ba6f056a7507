"""What each VMX exit means to an operator, and where Intel says so: {name: (meaning, source)}.

Sources are section titles of the Intel SDM, volume 3 (VMX chapters and appendix C): the titles
last, while the chapters are renumbered every few years. What KVM intercepts and why is in
arch/x86/kvm/vmx/ of the kernel.
"""

_ALWAYS = "SDM vol. 3, Instructions That Cause VM Exits Unconditionally"
_IF_ASKED = "SDM vol. 3, Instructions That Cause VM Exits Conditionally"
_EVENT = "SDM vol. 3, Other Causes of VM Exits"
_EXIT_REASONS = "SDM vol. 3, App. C, VMX Basic Exit Reasons"
_FAILED_ENTRY = "SDM vol. 3, VM-Entry Failures During or After Loading Guest State"
_EPT = "SDM vol. 3, EPT-Induced VM Exits"
_PML = "SDM vol. 3, Page-Modification Logging"
_MTF = "SDM vol. 3, Monitor Trap Flag"
_APIC = "SDM vol. 3, APIC Virtualization and Virtual Interrupts"


def _nested(instruction: str) -> str:
    return f"Guest hypervisor executed {instruction} (nested virtualization)"


MEANINGS: dict[str, tuple[str, str]] = {
    "EXCEPTION_NMI": (
        "Guest raised an exception that KVM intercepts, or an NMI of the host arrived",
        _EVENT,
    ),
    "EXTERNAL_INTERRUPT": (
        "An interrupt of the host arrived while the guest ran: timer, device, IPI",
        _EVENT,
    ),
    "TRIPLE_FAULT": ("Guest faulted while delivering a double fault: it crashed or resets", _EVENT),
    "INIT_SIGNAL": ("An INIT signal of the host arrived while the guest ran", _EVENT),
    "SIPI_SIGNAL": ("A start-up IPI arrived while the vCPU was waiting for one", _EVENT),
    "OTHER_SMI": (
        "A system-management interrupt arrived; KVM sees it for TDX guests",
        _EXIT_REASONS,
    ),
    "INTERRUPT_WINDOW": ("Guest became able to take an interrupt that waits for it", _EVENT),
    "NMI_WINDOW": ("Guest became able to take an NMI that waits for it", _EVENT),
    "TASK_SWITCH": ("Guest attempted a hardware task switch; always exits", _EVENT),
    "CPUID": ("Guest executed CPUID; always exits", _ALWAYS),
    "HLT": ("Guest executed HLT: the vCPU has nothing to do", _IF_ASKED),
    "INVD": ("Guest executed INVD; always exits", _ALWAYS),
    "INVLPG": ("Guest executed INVLPG; exits with shadow paging only", _IF_ASKED),
    "RDPMC": ("Guest read a performance counter with RDPMC", _IF_ASKED),
    "RDTSC": ("Guest executed RDTSC, which KVM intercepts for nested hypervisors only", _IF_ASKED),
    "VMCALL": ("Guest made a hypercall with VMCALL; always exits", _ALWAYS),
    "VMCLEAR": (_nested("VMCLEAR"), _ALWAYS),
    "VMLAUNCH": (_nested("VMLAUNCH"), _ALWAYS),
    "VMPTRLD": (_nested("VMPTRLD"), _ALWAYS),
    "VMPTRST": (_nested("VMPTRST"), _ALWAYS),
    "VMREAD": ("Guest hypervisor read a VMCS field that is not shadowed", _IF_ASKED),
    "VMRESUME": (_nested("VMRESUME"), _ALWAYS),
    "VMWRITE": ("Guest hypervisor wrote a VMCS field that is not shadowed", _IF_ASKED),
    "VMOFF": (_nested("VMXOFF"), _ALWAYS),
    "VMON": (_nested("VMXON"), _ALWAYS),
    "CR_ACCESS": ("Guest accessed CR0, CR3, CR4 or CR8 in a way KVM intercepts", _IF_ASKED),
    "DR_ACCESS": ("Guest accessed a debug register while KVM intercepts that", _IF_ASKED),
    "IO_INSTRUCTION": ("Guest executed IN, OUT, INS or OUTS: port I/O of a device", _IF_ASKED),
    "MSR_READ": ("Guest read an MSR that KVM intercepts (RDMSR)", _IF_ASKED),
    "MSR_WRITE": (
        "Guest wrote an MSR that KVM intercepts (WRMSR): APIC timer, IPI, ...",
        _IF_ASKED,
    ),
    "INVALID_STATE": (
        "VM entry failed: the processor found the guest state invalid",
        _FAILED_ENTRY,
    ),
    "MSR_LOAD_FAIL": ("VM entry failed: an MSR could not be loaded", _FAILED_ENTRY),
    "MWAIT_INSTRUCTION": ("Guest executed MWAIT; KVM may let it run instead", _IF_ASKED),
    "MONITOR_TRAP_FLAG": ("Guest executed one instruction under the monitor trap flag", _MTF),
    "MONITOR_INSTRUCTION": ("Guest executed MONITOR; KVM may let it run instead", _IF_ASKED),
    "PAUSE_INSTRUCTION": (
        "Guest spun on PAUSE longer than the PAUSE-loop window: a contended lock",
        _IF_ASKED,
    ),
    "MCE_DURING_VMENTRY": ("VM entry failed: a machine check struck during it", _FAILED_ENTRY),
    "TPR_BELOW_THRESHOLD": ("Guest lowered its task priority: a held interrupt may go in", _APIC),
    "APIC_ACCESS": ("Guest accessed its local APIC's page in a way that needs emulation", _APIC),
    "EOI_INDUCED": ("Guest ended an interrupt whose end KVM must see (level-triggered)", _APIC),
    "GDTR_IDTR": ("Guest executed LGDT, LIDT, SGDT or SIDT while KVM intercepts them", _IF_ASKED),
    "LDTR_TR": ("Guest executed LLDT, LTR, SLDT or STR while KVM intercepts them", _IF_ASKED),
    "EPT_VIOLATION": (
        "Guest touched memory its EPT does not map or permit: first touch, dirty logging",
        _EPT,
    ),
    "EPT_MISCONFIG": (
        "Guest accessed MMIO, which KVM marks with misconfigured EPT entries",
        _EPT,
    ),
    "INVEPT": (_nested("INVEPT"), _ALWAYS),
    "RDTSCP": (
        "Guest executed RDTSCP, which KVM intercepts for nested hypervisors only",
        _IF_ASKED,
    ),
    "PREEMPTION_TIMER": (
        "VMX-preemption timer ran out: KVM drives the guest's APIC timer with it",
        _EVENT,
    ),
    "INVVPID": (_nested("INVVPID"), _ALWAYS),
    "WBINVD": ("Guest executed WBINVD or WBNOINVD while KVM intercepts them", _IF_ASKED),
    "XSETBV": ("Guest changed XCR0 with XSETBV; always exits", _ALWAYS),
    "APIC_WRITE": ("Guest wrote a virtual APIC register that needs emulation", _APIC),
    "RDRAND": ("Guest executed RDRAND, which its CPUID hides", _IF_ASKED),
    "INVPCID": ("Guest executed INVPCID; exits with shadow paging only", _IF_ASKED),
    "VMFUNC": ("Guest executed VMFUNC with a function that is not enabled", _IF_ASKED),
    "ENCLS": ("Guest executed an ENCLS leaf (SGX) that KVM intercepts", _IF_ASKED),
    "RDSEED": ("Guest executed RDSEED, which its CPUID hides", _IF_ASKED),
    "PML_FULL": ("The page-modification log is full: dirty logging, as in live migration", _PML),
    "XSAVES": ("Guest executed XSAVES with a component that KVM intercepts", _IF_ASKED),
    "XRSTORS": ("Guest executed XRSTORS with a component that KVM intercepts", _IF_ASKED),
    "UMWAIT": ("Guest executed UMWAIT while RDTSC exiting is on", _IF_ASKED),
    "TPAUSE": ("Guest executed TPAUSE while RDTSC exiting is on", _IF_ASKED),
    "BUS_LOCK": ("Guest took a bus lock (split lock) while KVM watches for them", _EVENT),
    "NOTIFY": ("Guest let no event in for longer than the notify window", _EVENT),
    "SEAMCALL": ("Guest executed SEAMCALL; always exits", _ALWAYS),
    "TDCALL": (
        "TDX guest asked KVM for a service that has no exit reason of its own",
        _ALWAYS,
    ),
    "MSR_READ_IMM": ("Guest read an intercepted MSR with RDMSR's immediate form", _EXIT_REASONS),
    "MSR_WRITE_IMM": (
        "Guest wrote an intercepted MSR with WRMSRNS's immediate form",
        _EXIT_REASONS,
    ),
}
