"""MSRs, system registers, hypercalls, ports and addresses that are often behind many exits.

The names and numbers are those of the kernel's headers (kstats/arch/*/*_names.py); this is what an
operator wants to know about some of them. A row has the meaning, and a remedy if there is one.
"""

from __future__ import annotations

_FEWER_TIMERS = "reduce timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250"
_FEWER_WAKEUPS = "reduce wake-ups between vCPUs: pin the guest's threads, use fewer vCPUs"
_APICV = "enable APICv (kvm_intel enable_apicv=1) or AVIC (kvm_amd avic=1; x2AVIC since Zen 4)"
_IPIV = "enable IPI virtualization (kvm_intel enable_ipiv=1) or x2AVIC (kvm_amd avic=1)"
_POLLER = "stop the program in the guest that polls it: turbostat, powertop, collectd, perf"
_REFERENCE_TSC = "hv-time, with a constant TSC on the host and no useplatformclock in bcdedit"
_NO_PERF = "stop perf and profilers in the guest, or its NMI watchdog (nmi_watchdog=0)"

NAMED: dict[str, tuple[str, str]] = {
    "MSR_IA32_TSC_DEADLINE": ("the guest arms its APIC timer", _FEWER_TIMERS),
    "X2APIC_TMICT": ("the guest arms its APIC timer (no TSC deadline mode)", _FEWER_TIMERS),
    "X2APIC_LVTT": ("the guest changes the mode of its APIC timer", _FEWER_TIMERS),
    "X2APIC_TMCCT": ("the guest reads how long its APIC timer still runs", _FEWER_TIMERS),
    "X2APIC_ICR": ("the guest sends an IPI: a wake-up or a TLB shootdown", _IPIV),
    "X2APIC_SELF_IPI": ("the guest sends an interrupt to itself", _APICV),
    "X2APIC_EOI": ("the guest ends an interrupt", _APICV),
    "X2APIC_TASKPRI": ("the guest changes its task priority; Windows", _APICV),
    "MSR_IA32_TSC": ("the time-stamp counter; KVM intercepts writes and, on Intel, reads", ""),
    "MSR_IA32_TSC_ADJUST": ("the guest checks or changes the offset of its TSC", ""),
    "MSR_IA32_SPEC_CTRL": (
        "speculation control (IBRS, STIBP, SSBD); KVM passes it through after the first write",
        "use enhanced IBRS and retpolines in the guest instead of legacy IBRS",
    ),
    "MSR_IA32_PRED_CMD": (
        "an IBPB: the guest flushes branch predictions when it switches tasks",
        "check spectre_v2_user= and l1d_flush in the guest; newer kernels pass it through",
    ),
    "MSR_IA32_FLUSH_CMD": ("the guest flushes its L1 data cache", ""),
    "MSR_IA32_APERF": ("actual performance: utilization of the CPU's frequency", _POLLER),
    "MSR_IA32_MPERF": ("maximum performance: utilization of the CPU's frequency", _POLLER),
    "MSR_IA32_PERF_STATUS": ("the present P-state, which KVM emulates", _POLLER),
    "MSR_IA32_PERF_CTL": ("the requested P-state, which KVM emulates", _POLLER),
    "MSR_IA32_THERM_STATUS": ("the CPU's temperature, which KVM does not have", _POLLER),
    "MSR_IA32_PACKAGE_THERM_STATUS": ("the package's temperature", _POLLER),
    "MSR_RAPL_POWER_UNIT": ("units of energy counters, of which KVM has none", _POLLER),
    "MSR_PKG_ENERGY_STATUS": ("the package's energy counter", _POLLER),
    "MSR_AMD_RAPL_POWER_UNIT": ("units of energy counters, of which KVM has none", _POLLER),
    "MSR_CORE_PERF_GLOBAL_CTRL": ("enables performance counters", _NO_PERF),
    "MSR_CORE_PERF_GLOBAL_STATUS": ("overflows of performance counters", _NO_PERF),
    "MSR_CORE_PERF_GLOBAL_OVF_CTRL": ("resets overflows of performance counters", _NO_PERF),
    "MSR_CORE_PERF_FIXED_CTR_CTRL": ("controls the fixed performance counters", _NO_PERF),
    "MSR_IA32_PERFCTR0": ("a performance counter, which KVM implements with perf", _NO_PERF),
    "MSR_P6_EVNTSEL0": ("selects what a performance counter counts", _NO_PERF),
    "MSR_F15H_PERF_CTL": ("selects what a performance counter counts (AMD)", _NO_PERF),
    "MSR_F15H_PERF_CTR": ("a performance counter, which KVM implements with perf", _NO_PERF),
    "MSR_IA32_DEBUGCTLMSR": ("debug control: last-branch records, bus-lock detection", _NO_PERF),
    "MSR_EFER": ("extended features: long mode, NX, SVM; written at boot and reset", ""),
    "MSR_IA32_MISC_ENABLE": ("miscellaneous features; read at boot", ""),
    "MSR_IA32_XSS": ("supervisor state that XSAVES saves; written when tasks switch", ""),
    "MSR_IA32_UMWAIT_CONTROL": ("limits UMWAIT and TPAUSE", ""),
    "MSR_IA32_APICBASE": ("address and mode (xAPIC, x2APIC) of the local APIC", ""),
    "MSR_IA32_MCG_STATUS": ("machine-check status", "stop mcelog or rasdaemon in the guest"),
    "MSR_AMD64_SEV_ES_GHCB": ("the page of a SEV-ES guest for its requests (GHCB)", ""),
    "MSR_K7_HWCR": ("hardware configuration; read at boot", ""),
    "HV_X64_MSR_TIME_REF_COUNT": (
        "Windows reads its clock: an exit each time, without the reference TSC page",
        _REFERENCE_TSC,
    ),
    "HV_X64_MSR_REFERENCE_TSC": ("Windows sets the page of the reference TSC; at boot", ""),
    "HV_X64_MSR_EOI": ("Windows ends an interrupt", _APICV),
    "HV_X64_MSR_ICR": ("Windows sends an IPI", _IPIV),
    "HV_X64_MSR_TPR": ("Windows changes its task priority", _APICV),
    "HV_X64_MSR_EOM": ("Windows has read a message of the SynIC, such as a timer's", ""),
    "HV_X64_MSR_VP_RUNTIME": ("Windows reads how long the vCPU has run", ""),
    "HV_X64_MSR_GUEST_IDLE": ("Windows is idle: the vCPU halts", ""),
    "HV_X64_MSR_VP_INDEX": ("Windows reads the number of its vCPU", ""),
    **{
        f"HV_X64_MSR_STIMER{n}_{what}": (
            "Windows arms a synthetic timer (hv-stimer)",
            "find the program that raises the timer resolution: browsers, media players",
        )
        for n in range(4)
        for what in ("CONFIG", "COUNT")
    },
    "MSR_KVM_SYSTEM_TIME_NEW": ("the guest sets up kvm-clock; reading it needs no exit", ""),
    "MSR_KVM_WALL_CLOCK_NEW": ("the guest reads the wall-clock time; at boot and resume", ""),
    "MSR_KVM_STEAL_TIME": ("the guest sets up the page of its steal time", ""),
    "MSR_KVM_ASYNC_PF_EN": ("the guest enables asynchronous page faults", ""),
    "MSR_KVM_ASYNC_PF_ACK": (
        "the guest acknowledges an asynchronous page fault: the host swapped its memory out",
        "find out why the host swaps: check memory overcommit, vmstat si so",
    ),
    "MSR_KVM_PV_EOI_EN": ("the guest enables interrupts that need no EOI", ""),
    "MSR_KVM_POLL_CONTROL": ("the guest (cpuidle-haltpoll) turns the host's polling off or on", ""),
    "ICC_SGI1R_EL1": (
        "the guest sends an IPI: a wake-up or a TLB shootdown in software",
        _FEWER_WAKEUPS + "; GICv4.1 delivers IPIs without exits",
    ),
    "ICC_SGI0R_EL1": ("the guest sends an IPI of group 0", _FEWER_WAKEUPS),
    "ICC_ASGI1R_EL1": ("the guest sends an IPI to the other security state", _FEWER_WAKEUPS),
    "ICC_IAR1_EL1": ("the guest acknowledges an interrupt; trapped on some processors only", ""),
    "ICC_EOIR1_EL1": ("the guest ends an interrupt; trapped on some processors only", ""),
    "ICC_DIR_EL1": ("the guest deactivates an interrupt", ""),
    "ICC_PMR_EL1": ("the guest's interrupt priority mask (pseudo-NMIs)", ""),
    "ICC_SRE_EL1": ("whether the guest uses GICv3 system registers; at boot", ""),
    "CNTP_CVAL_EL0": ("the guest arms the physical timer", "use the virtual timer (CNTV_*)"),
    "CNTP_TVAL_EL0": ("the guest arms the physical timer", "use the virtual timer (CNTV_*)"),
    "CNTP_CTL_EL0": ("the guest controls the physical timer", "use the virtual timer (CNTV_*)"),
    "CNTPCT_EL0": (
        "the guest reads the physical counter",
        "use the virtual counter (CNTVCT_EL0), which is never trapped without nesting",
    ),
    "CNTV_CVAL_EL0": ("the guest arms the virtual timer; trapped under nesting only", ""),
    "CNTV_CTL_EL0": ("the guest controls the virtual timer; trapped under nesting only", ""),
    "PMCR_EL0": ("controls the performance monitors", _NO_PERF),
    "PMCCNTR_EL0": ("the cycle counter", _NO_PERF),
    "PMSELR_EL0": ("selects a performance counter", _NO_PERF),
    "PMXEVCNTR_EL0": ("the selected performance counter", _NO_PERF),
    "PMOVSCLR_EL0": ("overflows of performance counters", _NO_PERF),
    "PMCNTENSET_EL0": ("enables performance counters", _NO_PERF),
    "PMCNTENCLR_EL0": ("disables performance counters", _NO_PERF),
    "PMUSERENR_EL0": ("lets programs read performance counters", _NO_PERF),
    "MDSCR_EL1": ("debug control: a debugger in the guest", "stop the debugger in the guest"),
    "OSLAR_EL1": ("the guest unlocks its debug registers; at boot", ""),
    "SCTLR_EL1": ("system control: the guest switches its MMU or caches on; at boot", ""),
    "DC_CISW": (
        "cache maintenance by set and way: KVM flushes all memory of the VM",
        "only boot code and firmware should do it; update them",
    ),
    "DC_CSW": ("cache maintenance by set and way: KVM flushes all memory of the VM", ""),
    "DC_ISW": ("cache maintenance by set and way: KVM flushes all memory of the VM", ""),
    "ACTLR_EL1": ("the implementation's control register; at boot", ""),
    "CLIDR_EL1": ("the levels of caches: programs and the kernel at start", ""),
    "CCSIDR_EL1": ("the size of the selected cache: the kernel at start", ""),
    "CTR_EL0": (
        "the cache type: programs read it before they flush code (JIT)",
        "a host whose CPUs have different caches traps it; pin the VM to CPUs of one kind",
    ),
    "MIDR_EL1": ("the processor's identification", ""),
    "KVM_HC_KICK_CPU": (
        "the guest wakes a vCPU that waits for a spin lock (pv-unhalt)",
        "the guest's vCPUs contend for locks; check steal time in the guest",
    ),
    "KVM_HC_SEND_IPI": ("the guest sends IPIs to many vCPUs at once (pv-ipi)", _FEWER_WAKEUPS),
    "KVM_HC_SCHED_YIELD": (
        "the guest yields to a preempted vCPU, for which it waits",
        "run fewer vCPUs on the host; check steal time in the guest",
    ),
    "KVM_HC_MAP_GPA_RANGE": ("a confidential guest makes memory private or shared", ""),
    "KVM_HC_CLOCK_PAIRING": ("ptp_kvm in the guest reads the host's clock", ""),
    "PSCI_0_2_FN64_CPU_SUSPEND": ("the guest idles through PSCI", "use WFI: cpuidle.off=1"),
    "PSCI_0_2_FN_CPU_SUSPEND": ("the guest idles through PSCI", "use WFI: cpuidle.off=1"),
    "PSCI_0_2_FN64_CPU_ON": ("the guest starts a vCPU", ""),
    "PSCI_0_2_FN_CPU_OFF": ("the guest stops a vCPU", ""),
    "PSCI_0_2_FN_SYSTEM_OFF": ("the guest powers itself off", ""),
    "PSCI_0_2_FN_SYSTEM_RESET": ("the guest resets itself", ""),
    "ARM_SMCCC_HV_PV_TIME_ST": ("the guest sets up the page of its stolen time", ""),
    "ARM_SMCCC_TRNG_RND64": ("the guest asks for random numbers", ""),
    "ARM_SMCCC_VENDOR_HYP_KVM_PTP_FUNC_ID": ("ptp_kvm in the guest reads the host's clock", ""),
    "ARM_SMCCC_ARCH_WORKAROUND_1": (
        "Spectre-v2 mitigation in the guest: a firmware call when tasks switch",
        "use processors that need no firmware call (CSV2)",
    ),
    "ARM_SMCCC_ARCH_WORKAROUND_3": (
        "Spectre-BHB mitigation in the guest: a firmware call at exceptions",
        "use processors with ECBHB, or for which a loop in the guest suffices",
    ),
}
"""By the name in the kernel's headers: what an access means, and a remedy if there is one."""

SOURCES: dict[str, str] = {
    "msr": "SDM vol. 4; APM vol. 2 App. A; Linux asm/msr-index.h, Hyper-V TLFS",
    "sysreg": "Arm ARM (DDI 0487), ch. D; Linux arch/arm64/kvm/sys_regs.c",
    "hypercall": "Linux Documentation/virt/kvm/x86/hypercalls.rst, arm/hypercalls.rst; Arm PSCI",
    "io": "QEMU hw/i386/, hw/isa/; Linux Documentation/arch/x86/, arch/x86/kvm/i8254.c, i8259.c",
    "mmio": "QEMU hw/i386/, hw/arm/virt.c; Firecracker src/vmm/src/arch/",
}
"""By the kind of detail: where the numbers are from."""

_VIRTIO = "use virtio in place of the emulated device"
_SERIAL = "reduce serial console output: loglevel=, quiet; use virtio-console"
_CLOCK = "use the clock source kvm-clock or tsc in the guest; hv-time on Windows"
_IDE = "use virtio-blk or virtio-scsi in place of IDE"

PORTS: tuple[tuple[int, int, str, str], ...] = (
    (0x00, 0x0F, "DMA controller 1", ""),
    (0x20, 0x21, "PIC (8259), master", "use APIC interrupts: MSI; no noapic in the guest"),
    (0x40, 0x43, "PIT (8254) timer", _CLOCK),
    (0x60, 0x60, "PS/2 keyboard controller (i8042): data", ""),
    (0x61, 0x61, "PIT gate, speaker, and the NMI reason that NMI handlers read", ""),
    (0x64, 0x64, "PS/2 keyboard controller (i8042): command, status; reset with 0xfe", ""),
    (0x70, 0x71, "CMOS and real-time clock", _CLOCK),
    (0x7E, 0x7E, "QEMU's kvmvapic: task priority of 32-bit Windows", ""),
    (0x80, 0x80, "POST codes; old drivers write there to wait", "boot with io_delay=none"),
    (0x81, 0x8F, "DMA page registers", ""),
    (0x92, 0x92, "system control port A: A20 gate, fast reset", ""),
    (0xA0, 0xA1, "PIC (8259), slave", "use APIC interrupts: MSI; no noapic in the guest"),
    (0xB2, 0xB3, "APM control: software SMI; UEFI variables with Secure Boot, ACPI enable", ""),
    (0xC0, 0xDF, "DMA controller 2", ""),
    (0xE9, 0xE9, "debug console of Bochs and QEMU", ""),
    (0xED, 0xED, "old drivers write there to wait", "boot with io_delay=none"),
    (0xF0, 0xF1, "coprocessor error reset", ""),
    (0x170, 0x177, "IDE, secondary channel", _IDE),
    (0x1CE, 0x1D0, "Bochs VBE (QEMU's standard VGA)", _VIRTIO),
    (0x1F0, 0x1F7, "IDE, primary channel", _IDE),
    (0x2E8, 0x2EF, "serial port COM4", _SERIAL),
    (0x2F8, 0x2FF, "serial port COM2", _SERIAL),
    (0x376, 0x376, "IDE, secondary channel: control", _IDE),
    (0x378, 0x37F, "parallel port LPT1", ""),
    (0x3B0, 0x3DF, "VGA registers", _VIRTIO),
    (0x3E8, 0x3EF, "serial port COM3", _SERIAL),
    (0x3F0, 0x3F5, "floppy disk controller", "remove the floppy drive"),
    (0x3F6, 0x3F6, "IDE, primary channel: control", _IDE),
    (0x3F7, 0x3F7, "floppy disk controller", "remove the floppy drive"),
    (0x3F8, 0x3FF, "serial port COM1", _SERIAL),
    (0x402, 0x402, "debug console of SeaBIOS and OVMF", "remove -device isa-debugcon"),
    (0x4D0, 0x4D1, "ELCR: edge or level of interrupts", ""),
    (0x505, 0x505, "pvpanic: the guest reports a panic", ""),
    (0x510, 0x51B, "QEMU's fw_cfg: firmware configuration", ""),
    (0x600, 0x607, "ACPI PM1 event and control (QEMU)", ""),
    (0x608, 0x60B, "ACPI PM timer (QEMU)", _CLOCK),
    (0x620, 0x62F, "ACPI GPE0: hotplug, power button (QEMU)", ""),
    (0x660, 0x67F, "ICH9 TCO watchdog (QEMU q35)", ""),
    (0xA00, 0xA17, "ACPI memory hotplug (QEMU)", ""),
    (0xAE00, 0xAE17, "ACPI PCI hotplug (QEMU pc)", ""),
    (0xAF00, 0xAF1F, "ACPI CPU hotplug (QEMU pc)", ""),
    (0xB000, 0xB007, "ACPI PM1 (older QEMU)", ""),
    (0xB008, 0xB00B, "ACPI PM timer (older QEMU)", _CLOCK),
    (0xCC0, 0xCD7, "ACPI PCI hotplug (QEMU q35)", ""),
    (0xCD8, 0xCE3, "ACPI CPU hotplug (QEMU q35)", ""),
    (0xCF8, 0xCF8, "PCI configuration: address; at boot and hotplug", ""),
    (0xCF9, 0xCF9, "reset control", ""),
    (0xCFC, 0xCFF, "PCI configuration: data; at boot and hotplug", ""),
    (0x5658, 0x5659, "VMware backdoor: pointer and clock of VMware guests", ""),
    (
        0xC000,
        0xFFFF,
        "I/O BARs of PCI devices, by QEMU's firmware: legacy virtio, UHCI, IDE DMA",
        "use virtio 1 devices (disable-legacy=on); lspci -v in the guest lists the BARs",
    ),
)
"""First and last I/O port, the device, and a remedy if there is one."""

_X2APIC = "enable x2APIC (-cpu …,+x2apic), APICv (enable_apicv=1) or AVIC (avic=1)"

ADDRESSES: tuple[tuple[str, int, int, str, str], ...] = (
    ("x64", 0xA0000, 0xBFFFF, "VGA frame buffer", _VIRTIO),
    ("x64", 0xFEC00000, 0xFEC00FFF, "IO-APIC", "use MSI: virtio, VFIO"),
    ("x64", 0xFED00000, 0xFED003FF, "HPET", _CLOCK + "; remove it: -machine hpet=off"),
    ("x64", 0xFED40000, 0xFED44FFF, "TPM", ""),
    ("x64", 0xFEE00000, 0xFEE00FFF, "local APIC (xAPIC); on Intel APIC_ACCESS", _X2APIC),
    ("x64", 0xFFC00000, 0xFFFFFFFF, "firmware flash (pflash, BIOS)", ""),
    ("x64", 0xB0000000, 0xBFFFFFFF, "PCI Express configuration (QEMU q35, older versions)", ""),
    ("x64", 0xE0000000, 0xEFFFFFFF, "PCI Express configuration (QEMU q35)", ""),
    ("x64", 0xD0000000, 0xD00FFFFF, "virtio-mmio devices (Firecracker)", ""),
    ("arm64", 0x00000000, 0x07FFFFFF, "firmware flash (QEMU virt)", ""),
    ("arm64", 0x08000000, 0x0800FFFF, "GIC distributor (QEMU virt)", ""),
    ("arm64", 0x08010000, 0x0801FFFF, "GICv2 CPU interface (QEMU virt)", "use GICv3"),
    ("arm64", 0x08080000, 0x0809FFFF, "GIC ITS: MSIs (QEMU virt)", ""),
    ("arm64", 0x080A0000, 0x08FFFFFF, "GICv3 redistributors (QEMU virt)", ""),
    ("arm64", 0x09000000, 0x09000FFF, "PL011 serial port (QEMU virt)", _SERIAL),
    ("arm64", 0x09010000, 0x09010FFF, "PL031 real-time clock (QEMU virt)", ""),
    ("arm64", 0x09020000, 0x09020FFF, "QEMU's fw_cfg (QEMU virt)", ""),
    ("arm64", 0x09030000, 0x09030FFF, "PL061 GPIO: power button (QEMU virt)", ""),
    ("arm64", 0x0A000000, 0x0A003FFF, "virtio-mmio devices (QEMU virt)", "use virtio-pci"),
    ("arm64", 0x10000000, 0x3EFEFFFF, "PCI memory BARs (QEMU virt)", ""),
    ("arm64", 0x3EFF0000, 0x3EFFFFFF, "PCI I/O ports (QEMU virt)", ""),
    ("arm64", 0x3F000000, 0x3FFFFFFF, "PCI Express configuration (QEMU virt)", ""),
)  # fmt: skip
"""Architecture, first and last guest-physical address, the device, and a remedy."""
