"""What each SVM exit means to an operator, and where AMD says so: {name: (meaning, source)}.

Sources are sections of the AMD64 APM, volume 2 (24593), and, for what a SEV-ES guest asks for,
the GHCB specification (56421). What KVM intercepts and why is in arch/x86/kvm/svm/ of the
kernel.
"""

_INSTRUCTION = "APM vol. 2 15.9, Instruction Intercepts"
_IO = "APM vol. 2 15.10, IOIO Intercepts"
_MSR = "APM vol. 2 15.11, MSR Intercepts"
_AVIC = "APM vol. 2 15.29, Advanced Virtual Interrupt Controller"
_WRITE_TRAP = "APM vol. 2 15.35.10, Control Register Write Traps"
_GHCB = "GHCB specification (AMD 56421), "

_EXCEPTIONS = {  # mnemonic: (what happened, subsection of APM vol. 2 15.12)
    "DE": ("divide error", 1),
    "DB": ("debug exception", 2),
    "BP": ("breakpoint, INT3", 4),
    "OF": ("overflow, INTO", 5),
    "BR": ("BOUND range", 6),
    "UD": ("invalid opcode; KVM emulates some", 7),
    "NM": ("FPU not available", 8),
    "DF": ("double fault", 9),
    "TS": ("invalid TSS", 11),
    "NP": ("segment not present", 12),
    "SS": ("stack fault", 13),
    "GP": ("general protection", 14),
    "PF": ("page fault; shadow paging or nested", 15),
    "MF": ("x87 floating point", 16),
    "AC": ("alignment check, split lock", 17),
    "MC": ("machine check of the host", 18),
    "XF": ("SIMD floating point", 19),
}


def _exception(mnemonic: str) -> tuple[str, str]:
    what, section = _EXCEPTIONS[mnemonic]
    return f"Guest raised an intercepted #{mnemonic} ({what})", f"APM vol. 2 15.12.{section}"


def _nested(instruction: str) -> tuple[str, str]:
    return f"Guest hypervisor executed {instruction} (nested virtualization)", _INSTRUCTION


def _if_nested(instruction: str) -> tuple[str, str]:
    return f"Guest executed {instruction}; intercepted for nested hypervisors only", _INSTRUCTION


_CR_READS = {f"read_cr{n}": (f"Guest read CR{n}", _INSTRUCTION) for n in (0, 2, 3, 4, 8)}
_CR_WRITES = {f"write_cr{n}": (f"Guest wrote CR{n}", _INSTRUCTION) for n in (0, 2, 3, 4, 8)}
_DR_READS = {f"read_dr{n}": (f"Guest read DR{n}", _INSTRUCTION) for n in range(8)}
_DR_WRITES = {f"write_dr{n}": (f"Guest wrote DR{n}", _INSTRUCTION) for n in range(8)}
_CR_TRAPS = {
    f"write_cr{n}_trap": (f"SEV-ES guest wrote CR{n}; told after the write", _WRITE_TRAP)
    for n in (0, 4, 8)
}

MEANINGS: dict[str, tuple[str, str]] = {
    **_CR_READS,
    **_CR_WRITES,
    **_DR_READS,
    **_DR_WRITES,
    **{f"{mnemonic} excp": _exception(mnemonic) for mnemonic in _EXCEPTIONS},
    "interrupt": (
        "An interrupt of the host arrived while the guest ran: timer, device, IPI",
        "APM vol. 2 15.13.1, INTR Intercept",
    ),
    "nmi": (
        "An NMI of the host arrived while the guest ran",
        "APM vol. 2 15.13.2, NMI Intercept",
    ),
    "smi": (
        "A system-management interrupt arrived while the guest ran",
        "APM vol. 2 15.13.3, SMI Intercept",
    ),
    "init": (
        "An INIT signal of the host arrived while the guest ran",
        "APM vol. 2 15.13.4, INIT Intercept",
    ),
    "vintr": (
        "Guest became able to take an interrupt that waits for it",
        "APM vol. 2 15.13.5, Virtual Interrupt Intercept",
    ),
    "cr0_sel_write": ("Guest changed a CR0 bit other than TS and MP", _INSTRUCTION),
    "read_idtr": _if_nested("SIDT"),
    "read_gdtr": _if_nested("SGDT"),
    "read_ldtr": _if_nested("SLDT"),
    "read_rt": _if_nested("STR"),
    "write_idtr": _if_nested("LIDT"),
    "write_gdtr": _if_nested("LGDT"),
    "write_ldtr": _if_nested("LLDT"),
    "write_rt": _if_nested("LTR"),
    "rdtsc": _if_nested("RDTSC"),
    "rdpmc": ("Guest read a performance counter with RDPMC", _INSTRUCTION),
    "pushf": _if_nested("PUSHF"),
    "popf": _if_nested("POPF"),
    "cpuid": ("Guest executed CPUID; KVM intercepts every one", _INSTRUCTION),
    "rsm": ("Guest left system-management mode (RSM), which KVM emulates", _INSTRUCTION),
    "iret": ("Guest executed IRET: the end of an NMI handler that KVM waits for", _INSTRUCTION),
    "swint": _if_nested("INT n"),
    "invd": ("Guest executed INVD", _INSTRUCTION),
    "pause": (
        "Guest spun on PAUSE past the pause filter: a contended lock",
        "APM vol. 2 15.14.4, Pause Intercept Filtering",
    ),
    "hlt": ("Guest executed HLT: the vCPU has nothing to do", _INSTRUCTION),
    "invlpg": ("Guest executed INVLPG; exits with shadow paging only", _INSTRUCTION),
    "invlpga": _nested("INVLPGA"),
    "io": ("Guest executed IN, OUT, INS or OUTS: port I/O of a device", _IO),
    "msr": ("Guest accessed an MSR that KVM intercepts; which way is not known", _MSR),
    "msr:rd": ("Guest read an MSR that KVM intercepts (RDMSR)", _MSR),
    "msr:wr": ("Guest wrote an MSR that KVM intercepts (WRMSR): APIC timer, IPI, ...", _MSR),
    "task_switch": (
        "Guest attempted a hardware task switch",
        "APM vol. 2 15.14.1, Task Switch Intercept",
    ),
    "ferr_freeze": (
        "Guest froze on a legacy x87 error (FERR), intercepted for nested hypervisors only",
        "APM vol. 2 15.14.2, Ferr_Freeze Intercept",
    ),
    "shutdown": (
        "Guest reached shutdown (triple fault): it crashed or resets",
        "APM vol. 2 15.14.3, Shutdown Intercept",
    ),
    "vmrun": _nested("VMRUN"),
    "hypercall": ("Guest made a hypercall with VMMCALL", "APM vol. 2 15.18, VMMCALL Instruction"),
    "vmload": _nested("VMLOAD"),
    "vmsave": _nested("VMSAVE"),
    "stgi": _nested("STGI"),
    "clgi": _nested("CLGI"),
    "skinit": ("Guest executed SKINIT, which KVM does not offer", _INSTRUCTION),
    "rdtscp": ("Guest executed RDTSCP, which its CPUID hides", _INSTRUCTION),
    "icebp": _if_nested("INT1 (ICEBP)"),
    "wbinvd": ("Guest executed WBINVD or WBNOINVD", _INSTRUCTION),
    "monitor": ("Guest executed MONITOR; KVM may let it run instead", _INSTRUCTION),
    "mwait": ("Guest executed MWAIT; KVM may let it run instead", _INSTRUCTION),
    "xsetbv": ("Guest changed XCR0 with XSETBV", _INSTRUCTION),
    "rdpru": ("Guest executed RDPRU, which KVM does not offer", _INSTRUCTION),
    "write_efer_trap": ("SEV-ES guest wrote EFER; told after the write", _WRITE_TRAP),
    **_CR_TRAPS,
    "invpcid": (
        "Guest executed INVPCID under shadow paging or with its CPUID hiding it",
        _INSTRUCTION,
    ),
    "buslock": (
        "Guest tried a bus lock (split lock) with its allowance used up",
        "APM vol. 2 15.14.5, Bus Lock Threshold",
    ),
    "idle-halt": ("Guest executed HLT with no virtual interrupt waiting", _INSTRUCTION),
    "npf": (
        "Guest touched memory its nested page table does not map or permit; MMIO too",
        "APM vol. 2 15.25, Nested Paging",
    ),
    "avic_incomplete_ipi": ("Guest sent an IPI that AVIC could not deliver by itself", _AVIC),
    "avic_unaccelerated_access": (
        "Guest accessed an APIC register that AVIC does not accelerate",
        _AVIC,
    ),
    "vmgexit": (
        "SEV-ES guest asked KVM for something: I/O, MSR, CPUID, MMIO, ...",
        "APM vol. 2 15.35, Encrypted State (SEV-ES)",
    ),
    "vmgexit_mmio_read": ("SEV-ES guest read MMIO", _GHCB + "MMIO Access"),
    "vmgexit_mmio_write": ("SEV-ES guest wrote MMIO", _GHCB + "MMIO Access"),
    "vmgexit_nmi_complete": ("SEV-ES guest finished its NMI handler", _GHCB + "NMI Complete"),
    "vmgexit_ap_hlt_loop": (
        "SEV-ES guest parked a vCPU until its start-up IPI",
        _GHCB + "AP Reset Hold",
    ),
    "vmgexit_ap_jump_table": (
        "SEV-ES guest asked for or set its AP jump table",
        _GHCB + "AP Jump Table",
    ),
    "vmgexit_page_state_change": (
        "SEV-SNP guest made pages private or shared",
        _GHCB + "SNP Page State Change",
    ),
    "vmgexit_guest_request": (
        "SEV-SNP guest sent a message to the secure processor",
        _GHCB + "SNP Guest Request",
    ),
    "vmgexit_ext_guest_request": (
        "SEV-SNP guest sent a message and wants certificates with the answer",
        _GHCB + "SNP Extended Guest Request",
    ),
    "vmgexit_ap_creation": (
        "SEV-SNP guest created, changed or destroyed a vCPU's state",
        _GHCB + "SNP AP Creation",
    ),
    "vmgexit_hypervisor_feature": (
        "SEV-ES guest asked which features KVM has",
        _GHCB + "Hypervisor Feature Support",
    ),
    "invalid_guest_state": (
        "VMRUN failed: the processor found the guest state in the VMCB illegal",
        "APM vol. 2 15.5, VMRUN Instruction",
    ),
}
