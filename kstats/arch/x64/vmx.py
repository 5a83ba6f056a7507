"""Intel VMX: the basic exit reasons of the SDM's appendix C.

Sources are section titles of the Intel SDM, volume 3 (VMX chapters and appendix C): titles last,
chapters are renumbered every few years. Which exits KVM enables and why: arch/x86/kvm/vmx/.
"""

from __future__ import annotations

from kstats.arch.base import OTHER, Advice, Category, Isa, NameTable, Reason, by_code
from kstats.arch.x64 import details, spellings, trace_format
from kstats.arch.x64.shared import (
    BAD_SMM,
    BAD_STATE,
    CPUID,
    CPUID_IS_HERE,
    DIRTY_LOGGING,
    FEWER_NMIS,
    FEWER_TIMERS,
    FEWER_WAKEUPS,
    FIRST_TOUCH,
    FIX_PROGRAM,
    HALT,
    HALTS_UNSEEN,
    HYPERCALL,
    HYPERV_C,
    INJECTED_BY_VMM,
    LOOK_AT_CONSOLE,
    NMI_CAUSE,
    PORT_IO,
    RECLAIM,
    REFERENCE_TSC,
    RESET,
    SHADOW_PAGING,
    SPIN,
    SPLIT_LOCK,
    STIMER,
    TIME_REF_COUNT,
    UPDATE_HOST,
    WBINVD,
    WHICH_MSR,
    X2APIC_IS_HERE,
    XAPIC_IS,
    XSETBV,
    interrupt,
)

_ALWAYS = "SDM vol. 3, Instructions That Cause VM Exits Unconditionally"
_IF_ENABLED = "SDM vol. 3, Instructions That Cause VM Exits Conditionally"
_EVENT = "SDM vol. 3, Other Causes of VM Exits"
_EXIT_REASONS = "SDM vol. 3, App. C, VMX Basic Exit Reasons"
_FAILED_ENTRY = "SDM vol. 3, VM-Entry Failures During or After Loading Guest State"
_EPT = "SDM vol. 3, EPT-Induced VM Exits"
_PML = "SDM vol. 3, Page-Modification Logging"
_MTF = "SDM vol. 3, Monitor Trap Flag"
_APIC = "SDM vol. 3, APIC Virtualization and Virtual Interrupts"

_VMX_C = "Linux arch/x86/kvm/vmx/vmx.c "


def _nested(code: int, name: str, instruction: str) -> Reason:
    meaning = f"Guest hypervisor executed {instruction} (nested virtualization)"
    return Reason(code, name, OTHER, Category.OTHER, meaning, _ALWAYS)


# The formatter would spread each row over nine lines.
# fmt: off
REASONS = by_code(
    Reason(0, "EXCEPTION_NMI", OTHER, Category.EXCEPTION,
           "Guest raised an exception that KVM intercepts, or a host NMI arrived", _EVENT,
           Advice(
               causes=(
                   NMI_CAUSE,
                   "#UD, #DB and #AC, which KVM always intercepts; #BP while the guest is debugged",
                   "#AC of a split lock, if the host detects them (split_lock_detect)",
                   "#PF, if EPT is off; every exception in real mode without unrestricted guest",
               ),
               remedies=(
                   FEWER_NMIS,
                   "many #UD: use a CPU model with the instructions that the guest executes",
               ),
               sources=(_VMX_C + "vmx_update_exception_bitmap(), handle_exception_nmi()",))),
    Reason(1, "EXTERNAL_INTERRUPT", "ints", Category.INTERRUPT,
           "A host interrupt arrived while the guest was running: timer, device or IPI",
           _EVENT,
           interrupt(
               "the guest's own APIC timer, if KVM runs it as a host timer (preemption_timer=0)",
           )),
    Reason(2, "TRIPLE_FAULT", OTHER, Category.EXCEPTION,
           "Guest faulted while delivering a double fault: it crashes or resets", _EVENT,
           Advice((RESET,), (LOOK_AT_CONSOLE,), (_VMX_C + "handle_triple_fault()",))),
    Reason(3, "INIT_SIGNAL", OTHER, Category.INTERRUPT,
           "A host INIT signal arrived while the guest was running", _EVENT,
           Advice(
               causes=(
                   "the host kernel resets CPUs while guests run: crash, kexec, reboot, hotplug",
                   "firmware, a BMC, or a hypervisor below the host resets a CPU",
               ),
               remedies=(
                   "look for what resets the CPU: the host's kernel log, the BMC's event log",
                   "KVM cannot handle it: the VM stops with KVM internal error, suberror 4",
               ),
               sources=(
                   _VMX_C + "__vmx_handle_exit()",
               ))),
    Reason(4, "SIPI_SIGNAL", OTHER, Category.INTERRUPT,
           "A start-up IPI arrived while the vCPU was in the wait-for-SIPI state", _EVENT),
    Reason(5, "IO_SMI", OTHER, Category.INTERRUPT,
           "A system-management interrupt arrived after an I/O instruction; reported to SMM only",
           _EXIT_REASONS, printed=False),
    Reason(6, "OTHER_SMI", OTHER, Category.INTERRUPT,
           "A system-management interrupt arrived; reported to KVM for TDX guests only",
           _EXIT_REASONS, printed=False),
    Reason(7, "INTERRUPT_WINDOW", "ints_win", Category.INTERRUPT,
           "Guest can now accept a pending interrupt", _EVENT,
           Advice(
               causes=(
                   "an interrupt was pending while they were disabled; common without APICv",
                   INJECTED_BY_VMM,
               ),
               remedies=("use kernel-irqchip=on; enable APICv (kvm_intel enable_apicv=1)",),
               sources=(_VMX_C + "vmx_enable_irq_window()",))),
    Reason(8, "NMI_WINDOW", OTHER, Category.INTERRUPT,
           "Guest can now accept a pending NMI", _EVENT),
    Reason(9, "TASK_SWITCH", OTHER, Category.OTHER,
           "Guest attempted a hardware task switch; always exits", _EVENT),
    Reason(10, "CPUID", "inst_cpuid", Category.REGISTER,
           "Guest executed CPUID; always exits", _ALWAYS, CPUID),
    Reason(11, "GETSEC", OTHER, Category.OTHER,
           "Guest executed GETSEC (trusted execution), which KVM does not support", _ALWAYS,
           printed=False),
    Reason(12, "HLT", "inst_hlt", Category.IDLE,
           "Guest executed HLT: the vCPU is idle", _IF_ENABLED, HALT),
    Reason(13, "INVD", OTHER, Category.OTHER, "Guest executed INVD; always exits", _ALWAYS),
    Reason(14, "INVLPG", OTHER, Category.MEMORY,
           "Guest executed INVLPG; exits with shadow paging only", _IF_ENABLED),
    Reason(15, "RDPMC", OTHER, Category.REGISTER,
           "Guest read a performance counter with RDPMC", _IF_ENABLED),
    Reason(16, "RDTSC", OTHER, Category.REGISTER,
           "Guest executed RDTSC; intercepted for nested hypervisors only", _IF_ENABLED),
    Reason(17, "RSM", OTHER, Category.OTHER,
           "Guest executed RSM; exits in SMM only, where KVM runs no guest natively", _EXIT_REASONS,
           printed=False),
    Reason(18, "VMCALL", "inst_vmcall", Category.HYPERCALL,
           "Guest made a hypercall with VMCALL; always exits", _ALWAYS, HYPERCALL),
    _nested(19, "VMCLEAR", "VMCLEAR"),
    _nested(20, "VMLAUNCH", "VMLAUNCH"),
    _nested(21, "VMPTRLD", "VMPTRLD"),
    _nested(22, "VMPTRST", "VMPTRST"),
    Reason(23, "VMREAD", OTHER, Category.OTHER,
           "Guest hypervisor read a VMCS field that is not shadowed", _IF_ENABLED),
    _nested(24, "VMRESUME", "VMRESUME"),
    Reason(25, "VMWRITE", OTHER, Category.OTHER,
           "Guest hypervisor wrote a VMCS field that is not shadowed", _IF_ENABLED),
    _nested(26, "VMOFF", "VMXOFF"),
    _nested(27, "VMON", "VMXON"),
    Reason(28, "CR_ACCESS", "ctrl_reg", Category.REGISTER,
           "Guest accessed CR0, CR3, CR4 or CR8 in a way that KVM intercepts", _IF_ENABLED,
           Advice(
               causes=(
                   "CR3 loads, if EPT is off; CR3 and CR0 of real mode, without unrestricted guest",
                   "CR0 and CR4 bits that KVM owns: CR0.CD, CR4.PCE, CR4.VMXE …",
                   "CR8 writes of 64-bit Windows, if the processor has no TPR shadow",
               ),
               remedies=(
                   "enable EPT (kvm_intel ept=1 unrestricted_guest=1); use a newer guest kernel",
                   "to see which registers: kstats exits --detail cr",
               ),
               sources=(
                   _VMX_C + "handle_cr(), vmx_exec_control()",
               ))),
    Reason(29, "DR_ACCESS", OTHER, Category.REGISTER,
           "Guest accessed a debug register that KVM intercepts at the moment", _IF_ENABLED),
    Reason(30, "IO_INSTRUCTION", "inst_io", Category.IO,
           "Guest executed IN, OUT, INS or OUTS: port I/O of a device", _IF_ENABLED, PORT_IO),
    Reason(31, "MSR_READ", "msr_rd", Category.REGISTER,
           "Guest read an MSR that KVM intercepts (RDMSR)", _IF_ENABLED,
           Advice(
               causes=(
                   TIME_REF_COUNT,
                   "perf in the guest reads performance counters",
                   "a monitoring agent polls thermal, RAPL, APERF, MPERF or machine-check MSRs",
               ),
               remedies=(
                   REFERENCE_TSC,
                   "stop the poller: turbostat, powertop, collectd's cpufreq, mcelog in the guest",
                   WHICH_MSR,
               ),
               sources=(HYPERV_C, "Linux arch/x86/kvm/x86.c kvm_get_msr_common()"))),
    Reason(32, "MSR_WRITE", "msr_wr", Category.REGISTER,
           "Guest wrote an MSR that KVM intercepts (WRMSR): APIC timer, IPI, ...", _IF_ENABLED,
           Advice(
               causes=(
                   "IA32_TSC_DEADLINE: the guest arms its timer at each tick and idle period",
                   STIMER,
                   "x2APIC ICR: the guest sends an IPI (wake-ups, TLB shootdowns)",
                   "x2APIC EOI, on processors without APICv",
                   "IA32_SPEC_CTRL and IA32_PRED_CMD: mitigations, until KVM passes them through",
               ),
               remedies=(
                   FEWER_TIMERS,
                   "enable APICv (kvm_intel enable_apicv=1) and IPI virtualization (enable_ipiv=1)",
                   FEWER_WAKEUPS,
                   WHICH_MSR,
               ),
               sources=(
                   HYPERV_C,
                   "Linux arch/x86/kvm/x86.c handle_fastpath_set_msr_irqoff(); " + _VMX_C.strip(),
               ))),
    Reason(33, "INVALID_STATE", OTHER, Category.OTHER,
           "VM entry failed: the guest state is invalid", _FAILED_ENTRY,
           Advice(
               causes=(
                   "real mode without unrestricted guest: old processors, or unrestricted_guest=0",
                   BAD_SMM,
                   "a bug of a nested hypervisor or of the host's KVM, on old processors",
                   BAD_STATE,
               ),
               remedies=(
                   "enable EPT and unrestricted guest (kvm_intel ept=1 unrestricted_guest=1)",
                   UPDATE_HOST,
                   "log the state: kvm_intel dump_invalid_vmcs=1; report it as a bug of the VMM",
               ),
               sources=(
                   "SDM vol. 3, Checks on Guest State; " + _VMX_C + "dump_vmcs()",
                   "QEMU target/i386/kvm/kvm.c, VMX_INVALID_GUEST_STATE",
               ))),
    Reason(34, "MSR_LOAD_FAIL", OTHER, Category.OTHER,
           "VM entry failed: an MSR could not be loaded", _FAILED_ENTRY,
           Advice(
               causes=(
                   "a guest value of an MSR in the entry's list is reserved on this processor",
                   "a nested hypervisor, or a VM that migrated from another processor",
               ),
               remedies=("log the list: kvm_intel dump_invalid_vmcs=1; report it as a bug",),
               sources=("SDM vol. 3, Loading MSRs; " + _VMX_C + "add_atomic_switch_msr()",))),
    Reason(36, "MWAIT_INSTRUCTION", OTHER, Category.IDLE,
           "Guest executed MWAIT; exits unless the VMM disables MWAIT exits", _IF_ENABLED,
           Advice(
               causes=("the guest idles with MWAIT, which KVM does not pass through",),
               remedies=(
                   "boot the guest with idle=halt; on dedicated CPUs: -overcommit cpu-pm=on",
               ),
               sources=("Linux arch/x86/kvm/x86.c kvm_emulate_mwait()",))),
    Reason(37, "MONITOR_TRAP_FLAG", OTHER, Category.OTHER,
           "Guest executed one instruction with the monitor trap flag set", _MTF),
    Reason(39, "MONITOR_INSTRUCTION", OTHER, Category.IDLE,
           "Guest executed MONITOR; exits unless the VMM disables MWAIT exits", _IF_ENABLED),
    Reason(40, "PAUSE_INSTRUCTION", "inst_ple", Category.SPIN,
           "Guest spun on PAUSE longer than the PAUSE-loop window: a contended lock",
           _IF_ENABLED, SPIN),
    Reason(41, "MCE_DURING_VMENTRY", OTHER, Category.OTHER,
           "VM entry failed: a machine check occurred during the entry", _FAILED_ENTRY),
    Reason(43, "TPR_BELOW_THRESHOLD", OTHER, Category.INTERRUPT,
           "Guest lowered its task priority: a pending interrupt may now be delivered", _APIC,
           Advice(
               causes=(
                   "the guest lowered its task priority (CR8); 64-bit Windows does so constantly",
               ),
               remedies=(
                   "enable APICv (kvm_intel enable_apicv=1); use hv-vapic for Windows guests",
               ),
               sources=(_VMX_C + "vmx_update_cr8_intercept()",))),
    Reason(44, "APIC_ACCESS", OTHER, Category.INTERRUPT,
           "Guest accessed its local APIC page in a way that KVM must emulate", _APIC,
           Advice(
               causes=(
                   "the guest uses its APIC through memory (xAPIC) without APICv: timer, IPI, EOI",
                   "32-bit Windows writes its task priority there",
               ),
               remedies=(
                   "enable x2APIC (-cpu …,+x2apic) or APICv (kvm_intel enable_apicv=1)",
                   "use hv-vapic for Windows guests",
               ),
               sources=(_VMX_C + "handle_apic_access(); QEMU hw/i386/vapic.c",))),
    Reason(45, "EOI_INDUCED", OTHER, Category.INTERRUPT,
           "Guest ended a level-triggered interrupt, which KVM must handle", _APIC,
           Advice(
               causes=("INTx interrupts of an emulated or passed-through device",),
               remedies=(
                   "use MSI or MSI-X: virtio, VFIO, and a guest driver that supports them",
               ),
               sources=("Linux arch/x86/kvm/ioapic.c kvm_ioapic_scan_entry()",))),
    Reason(46, "GDTR_IDTR", OTHER, Category.REGISTER,
           "Guest executed LGDT, LIDT, SGDT or SIDT, which KVM intercepts for UMIP", _IF_ENABLED),
    Reason(47, "LDTR_TR", OTHER, Category.REGISTER,
           "Guest executed LLDT, LTR, SLDT or STR, which KVM intercepts for UMIP", _IF_ENABLED),
    Reason(48, "EPT_VIOLATION", "ept", Category.MEMORY,
           "Guest accessed memory that EPT does not map or permit: first touch, dirty logging",
           _EPT,
           Advice(
               causes=(
                   FIRST_TOUCH,
                   DIRTY_LOGGING,
                   RECLAIM,
                   "writes to ROM or flash (pflash), which KVM write-protects",
               ),
               remedies=(
                   "stops by itself after a start; to avoid it, preallocate huge pages",
                   "huge pages (hugetlbfs or THP) reduce 512 exits to one",
                   "if it persists: check swap (vmstat si so), KSM and numa_balancing",
               ),
               sources=(
                   "Linux arch/x86/kvm/mmu/mmu.c kvm_tdp_page_fault()",
                   "Linux Documentation/admin-guide/mm/transhuge.rst, ksm.rst",
               ))),
    Reason(49, "EPT_MISCONFIG", OTHER, Category.MEMORY,
           "Guest accessed MMIO, which KVM marks with misconfigured EPT entries", _EPT,
           Advice(
               causes=(
                   "MMIO of an emulated device: virtio notifications, VGA, HPET, IO-APIC, e1000",
                   "virtio kicks: one exit each, also with vhost (ioeventfd)",
               ),
               remedies=(
                   "use virtio or VFIO in place of emulated devices (e1000, AHCI, VGA)",
                   "reduce kicks: larger batches, deeper queues, polling in the guest",
                   "replace the clock source hpet by kvm-clock or tsc in the guest",
                   "to see which devices: kstats exits --detail mmio",
               ),
               sources=("Linux arch/x86/kvm/mmu/mmu.c handle_mmio_page_fault()",))),
    _nested(50, "INVEPT", "INVEPT"),
    Reason(51, "RDTSCP", OTHER, Category.REGISTER,
           "Guest executed RDTSCP; intercepted for nested hypervisors only", _IF_ENABLED),
    Reason(52, "PREEMPTION_TIMER", OTHER, Category.INTERRUPT,
           "The VMX-preemption timer expired: KVM implements the guest's APIC timer with it",
           _EVENT,
           Advice(
               causes=("the guest's APIC timer expired while the guest was running",),
               remedies=(
                   FEWER_TIMERS,
                   "leave the preemption timer on: the hrtimer that replaces it costs more",
               ),
               sources=("Linux arch/x86/kvm/lapic.c start_hv_timer()",))),
    _nested(53, "INVVPID", "INVVPID"),
    Reason(54, "WBINVD", OTHER, Category.OTHER,
           "Guest executed WBINVD or WBNOINVD, which KVM intercepts", _IF_ENABLED, WBINVD),
    Reason(55, "XSETBV", "inst_xsetbv", Category.REGISTER,
           "Guest changed XCR0 with XSETBV; always exits", _ALWAYS, XSETBV),
    Reason(56, "APIC_WRITE", OTHER, Category.INTERRUPT,
           "Guest wrote a virtual APIC register that KVM must emulate", _APIC,
           Advice(
               causes=(
                   "a write that APICv reports after it completed: ICR, timer",
                   "IPIs between vCPUs on processors without IPI virtualization",
               ),
               remedies=(
                   "reduce IPIs: pin the guest's threads, use x2APIC or a newer processor",
               ),
               sources=("Linux arch/x86/kvm/lapic.c kvm_apic_write_nodecode()",))),
    Reason(57, "RDRAND", OTHER, Category.OTHER,
           "Guest executed RDRAND, which its CPUID does not offer", _IF_ENABLED),
    Reason(58, "INVPCID", OTHER, Category.MEMORY,
           "Guest executed INVPCID; exits with shadow paging only", _IF_ENABLED),
    Reason(59, "VMFUNC", OTHER, Category.OTHER,
           "Guest executed VMFUNC with a function that is not enabled", _IF_ENABLED),
    Reason(60, "ENCLS", OTHER, Category.OTHER,
           "Guest executed an ENCLS leaf (SGX) that KVM intercepts", _IF_ENABLED),
    Reason(61, "RDSEED", OTHER, Category.OTHER,
           "Guest executed RDSEED, which its CPUID does not offer", _IF_ENABLED),
    Reason(62, "PML_FULL", OTHER, Category.MEMORY,
           "The page-modification log is full: dirty logging, as in live migration", _PML,
           Advice(
               causes=("live migration: the guest wrote 512 pages since the last flush",),
               remedies=(
                   "it stops with the migration; auto-converge or multifd make it finish sooner",
               ),
               sources=(_VMX_C + "handle_pml_full(); QEMU docs/devel/migration/",))),
    Reason(63, "XSAVES", OTHER, Category.OTHER,
           "Guest executed XSAVES with a state component that KVM intercepts", _IF_ENABLED),
    Reason(64, "XRSTORS", OTHER, Category.OTHER,
           "Guest executed XRSTORS with a state component that KVM intercepts", _IF_ENABLED),
    Reason(65, "PCONFIG", OTHER, Category.OTHER,
           "Guest executed PCONFIG (memory encryption), which KVM does not support", _IF_ENABLED,
           printed=False),
    Reason(66, "SPP", OTHER, Category.MEMORY,
           "Guest accessed memory whose sub-page permissions are missing; KVM does not use them",
           _EPT, printed=False),
    Reason(67, "UMWAIT", OTHER, Category.IDLE,
           "Guest executed UMWAIT while RDTSC exiting is enabled", _IF_ENABLED),
    Reason(68, "TPAUSE", OTHER, Category.IDLE,
           "Guest executed TPAUSE while RDTSC exiting is enabled", _IF_ENABLED),
    Reason(69, "LOADIWKEY", OTHER, Category.OTHER,
           "Guest executed LOADIWKEY (Key Locker), which KVM does not support", _IF_ENABLED,
           printed=False),
    Reason(70, "ENCLV", OTHER, Category.OTHER,
           "Guest executed an ENCLV leaf (SGX) that is intercepted", _IF_ENABLED, printed=False),
    Reason(72, "ENQCMD_PASID", OTHER, Category.OTHER,
           "Guest executed ENQCMD with a PASID that is not translated", _IF_ENABLED,
           printed=False),
    Reason(73, "ENQCMDS_PASID", OTHER, Category.OTHER,
           "Guest executed ENQCMDS with a PASID that is not translated", _IF_ENABLED,
           printed=False),
    Reason(74, "BUS_LOCK", OTHER, Category.OTHER,
           "Guest acquired a bus lock (split lock) while bus lock detection is enabled", _EVENT,
           Advice((SPLIT_LOCK,), (FIX_PROGRAM,),
                  (_VMX_C + "handle_bus_lock_vmexit(); Documentation/arch/x86/buslock.rst",))),
    Reason(75, "NOTIFY", OTHER, Category.OTHER,
           "Guest blocked event delivery for longer than the notify window", _EVENT,
           Advice(
               causes=(
                   "a guest that attacks the host (endless exception delivery), or a KVM bug",
               ),
               remedies=("find the guest; QEMU's notify-vmexit=run|internal-error|disable",),
               sources=(_VMX_C + "handle_notify(); Documentation/virt/kvm/api.rst",))),
    Reason(76, "SEAMCALL", OTHER, Category.OTHER,
           "Guest executed SEAMCALL; always exits", _ALWAYS, printed=False),
    Reason(77, "TDCALL", OTHER, Category.HYPERCALL,
           "TDX guest requested a service that has no exit reason of its own", _ALWAYS),
    Reason(78, "RDMSRLIST", "msr_rd", Category.REGISTER,
           "Guest read intercepted MSRs with RDMSRLIST, which KVM does not support", _IF_ENABLED,
           printed=False),
    Reason(79, "WRMSRLIST", "msr_wr", Category.REGISTER,
           "Guest wrote intercepted MSRs with WRMSRLIST, which KVM does not support", _IF_ENABLED,
           printed=False),
    Reason(80, "URDMSR", "msr_rd", Category.REGISTER,
           "Guest read an intercepted MSR with URDMSR, which KVM does not support", _IF_ENABLED,
           printed=False),
    Reason(81, "UWRMSR", "msr_wr", Category.REGISTER,
           "Guest wrote an intercepted MSR with UWRMSR, which KVM does not support", _IF_ENABLED,
           printed=False),
    Reason(84, "MSR_READ_IMM", "msr_rd", Category.REGISTER,
           "Guest read an intercepted MSR with the immediate form of RDMSR", _EXIT_REASONS),
    Reason(85, "MSR_WRITE_IMM", "msr_wr", Category.REGISTER,
           "Guest wrote an intercepted MSR with the immediate form of WRMSRNS", _EXIT_REASONS),
)
# fmt: on

CATEGORY_NOTES = {
    Category.INTERRUPT: (
        "The preemption timer is counted here: KVM implements the guest's APIC timer with it.",
        "Host NMIs are not counted here: VMX reports them as `EXCEPTION_NMI`, in `exception`.",
        XAPIC_IS.format("`APIC_ACCESS` or `APIC_WRITE`", "AMD without AVIC", "memory"),
    ),
    Category.MEMORY: (
        (
            "MMIO is `EPT_MISCONFIG` (`EPT_VIOLATION` at the first access to a page), so the"
            " reasons separate it from missing memory, which other ISAs cannot."
        ),
        SHADOW_PAGING.format("`INVLPG` and `INVPCID`"),
    ),
    Category.REGISTER: (CPUID_IS_HERE, X2APIC_IS_HERE),
    Category.IDLE: (HALTS_UNSEEN,),
    Category.HYPERCALL: (
        (
            "A TDX guest's requests count as what they ask for (`CPUID`, `IO_INSTRUCTION`, ...);"
            " the rest is `TDCALL`."
        ),
    ),
    Category.EXCEPTION: (
        (
            "`EXCEPTION_NMI` is one code for all exceptions and for host NMIs. If perf uses NMIs"
            " on the host, it grows with the sampling rate."
        ),
    ),
}

BASIC_REASON = 0xFFFF
"""SDM vol. 3C 25.9.1: the low 16 bits are the reason, the others qualify it."""

VMX = Isa(
    name="vmx",
    title="Intel VMX",
    reasons=REASONS,
    flags={1 << 31: "FAILED_VMENTRY"},
    flag_mask=0xFFFF_FFFF & ~BASIC_REASON,
    failed_mask=1 << 31,
    tables=(
        NameTable("REC->exit_reason & 0xffff"),
        NameTable("REC->exit_reason & ~0xffff", kind="flags"),
    ),
    category_notes=CATEGORY_NOTES,
    spellings=spellings.VMX,
    event=trace_format.VMX,
    details=details.kinds(msr=(31, 32), io=(30,), mmio=(48, 49), hypercall=(18,), cr=(28,)),
)
