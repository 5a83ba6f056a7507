"""AMD SVM: the exit codes of APM vol. 2 appendix C.

An MSR exit has one code for reads and writes; bit 0 of EXITINFO1 distinguishes them (APM vol. 2
15.11). That bit becomes the code's qualifier, so that ``msr:rd`` and ``msr:wr`` are reasons of
their own.

Sources are sections of the AMD64 APM, volume 2 (24593), and, for requests of SEV-ES guests, the
GHCB specification (56421). Which exits KVM intercepts and why: arch/x86/kvm/svm/.
"""

from __future__ import annotations

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

MSR = 0x7C
MSR_READ = 1 << NUMBER_BITS | MSR
MSR_WRITE = 2 << NUMBER_BITS | MSR

_INSTRUCTION = "APM vol. 2 15.9, Instruction Intercepts"
_EXCEPTIONS = "APM vol. 2 15.12, Exception Intercepts"
_IO = "APM vol. 2 15.10, IOIO Intercepts"
_MSR = "APM vol. 2 15.11, MSR Intercepts"
_NESTED_PAGING = "APM vol. 2 15.25, Nested Paging"
_AVIC = "APM vol. 2 15.29, Advanced Virtual Interrupt Controller"
_SEV_ES = "APM vol. 2 15.35, Encrypted State (SEV-ES)"
_WRITE_TRAP = "APM vol. 2 15.35.10, Control Register Write Traps"
_EXIT_CODES = "APM vol. 2 App. C, SVM Intercept Exit Codes"
_GHCB = "GHCB specification (AMD 56421), "

_SVM_C = "Linux arch/x86/kvm/svm/svm.c "
_AVIC_C = "Linux arch/x86/kvm/svm/avic.c "

_CONTROL_REGISTERS = (0, 2, 3, 4, 8)
_DEBUG_REGISTERS = range(8)
_REGISTERS = range(
    16
)  # the codes exist for registers that do not; the kernel has no names for those


def _exception(vector: int, what: str, advice: Advice = NO_ADVICE) -> Reason:
    mnemonic = spellings.EXCEPTIONS[vector]
    section = vector + (vector < 15)  # the APM has a section for each vector but the reserved 15
    newer = vector >= 20
    return Reason(
        0x40 + vector,
        f"{mnemonic} excp",
        OTHER,
        Category.EXCEPTION,
        f"Guest raised an intercepted #{mnemonic} ({what})",
        _EXCEPTIONS if newer else f"APM vol. 2 15.12.{section}",
        advice,
        printed=not newer,
    )


def _reserved_exception(vector: int) -> Reason:
    meaning = f"Guest raised the intercepted exception {vector}, which is reserved"
    name = f"excp{vector}"
    return Reason(
        0x40 + vector, name, OTHER, Category.EXCEPTION, meaning, _EXCEPTIONS, printed=False
    )


def _nested(code: int, name: str, instruction: str) -> Reason:
    meaning = f"Guest hypervisor executed {instruction} (nested virtualization)"
    return Reason(code, name, OTHER, Category.OTHER, meaning, _INSTRUCTION)


def _if_nested(
    code: int, name: str, instruction: str, category: Category = Category.REGISTER
) -> Reason:
    meaning = f"Guest executed {instruction}; intercepted for nested hypervisors only"
    return Reason(code, name, OTHER, category, meaning, _INSTRUCTION)


def _request(  # noqa: PLR0913 - a row of the table
    number: int,
    name: str,
    category: Category,
    meaning: str,
    section: str,
    *,
    printed: bool = True,
) -> Reason:
    """A request of a SEV-ES guest, which the kernel numbers from 0x8000_0000 on."""
    code = 0x8000_0000 + number
    return Reason(code, name, OTHER, category, meaning, _GHCB + section, printed=printed)


_CR8 = Advice(
    causes=("64-bit Windows changes its task priority while an interrupt is pending",),
    remedies=("enable AVIC (kvm_amd avic=1); use hv-vapic for Windows guests",),
    sources=(_SVM_C + "svm_update_cr8_intercept()",),
)


# The formatter would spread each row over nine lines.
# fmt: off
REASONS = by_code(
    *(Reason(n, f"read_cr{n}", "ctrl_reg", Category.REGISTER, f"Guest read CR{n}", _INSTRUCTION,
             printed=n in _CONTROL_REGISTERS)
      for n in _REGISTERS),
    *(Reason(0x10 + n, f"write_cr{n}", "ctrl_reg", Category.REGISTER,
             f"Guest wrote CR{n}", _INSTRUCTION, _CR8 if n == 8 else NO_ADVICE,
             printed=n in _CONTROL_REGISTERS)
      for n in _REGISTERS),
    *(Reason(0x20 + n, f"read_dr{n}", OTHER, Category.REGISTER, f"Guest read DR{n}", _INSTRUCTION,
             printed=n in _DEBUG_REGISTERS)
      for n in _REGISTERS),
    *(Reason(0x30 + n, f"write_dr{n}", OTHER, Category.REGISTER, f"Guest wrote DR{n}", _INSTRUCTION,
             printed=n in _DEBUG_REGISTERS)
      for n in _REGISTERS),
    _exception(0, "divide error"),
    _exception(1, "debug exception; a bus lock, if the guest detects them",
               Advice(
                   causes=(
                       "a debugger in the guest or on the host; KVM always intercepts #DB",
                       "a bus lock, on processors with bus lock detection that the guest uses",
                   ),
                   remedies=("stop the debugger; fix the program that makes split locks",),
                   sources=(_SVM_C + "db_interception(); APM vol. 2 13.1, Bus Lock Trap",))),
    _reserved_exception(2),
    _exception(3, "breakpoint, INT3"),
    _exception(4, "overflow, INTO"),
    _exception(5, "BOUND range"),
    _exception(6, "invalid opcode; KVM emulates some"),
    _exception(7, "FPU not available"),
    _exception(8, "double fault"),
    _reserved_exception(9),
    _exception(10, "invalid TSS"),
    _exception(11, "segment not present"),
    _exception(12, "stack fault"),
    _exception(13, "general protection"),
    _exception(14, "page fault; shadow paging or nested",
               Advice(("shadow paging: nested paging is off, or a nested hypervisor lacks it",),
                      ("enable nested paging (kvm_amd npt=1)",),
                      (_SVM_C + "pf_interception(), init_vmcb()",))),
    _reserved_exception(15),
    _exception(16, "x87 floating point"),
    _exception(17, "alignment check",
               Advice(
                   causes=(
                       "a program in the guest that enables alignment checks (EFLAGS.AC)",
                       "not a split lock: AMD processors report those as bus locks, if at all",
                   ),
                   remedies=("fix the misaligned access, or disable the checks in the program",),
                   sources=(
                       _SVM_C + "ac_interception(): always intercepted, given to the guest",
                   ))),
    _exception(18, "machine check of the host"),
    _exception(19, "SIMD floating point"),
    _reserved_exception(20),
    _exception(21, "control protection, shadow stack"),
    *map(_reserved_exception, range(22, 28)),
    _exception(28, "hypervisor injection, SEV-SNP"),
    _exception(29, "VMM communication, SEV-ES"),
    _exception(30, "security exception"),
    _reserved_exception(31),
    Reason(0x60, "interrupt", "ints", Category.INTERRUPT,
           "A host interrupt arrived while the guest was running: timer, device or IPI",
           "APM vol. 2 15.13.1, INTR Intercept",
           interrupt(
               "the guest's own APIC timer: SVM has no preemption timer, so it is a host timer",
           )),
    Reason(0x61, "nmi", OTHER, Category.INTERRUPT,
           "A host NMI arrived while the guest was running", "APM vol. 2 15.13.2, NMI Intercept",
           Advice((NMI_CAUSE,), (FEWER_NMIS,), (_SVM_C + "nmi_interception()",))),
    Reason(0x62, "smi", OTHER, Category.INTERRUPT,
           "A system-management interrupt arrived while the guest was running",
           "APM vol. 2 15.13.3, SMI Intercept"),
    Reason(0x63, "init", OTHER, Category.INTERRUPT,
           "A host INIT signal arrived while the guest was running; KVM does not intercept it",
           "APM vol. 2 15.13.4, INIT Intercept"),
    Reason(0x64, "vintr", "ints_win", Category.INTERRUPT,
           "Guest can now accept a pending interrupt",
           "APM vol. 2 15.13.5, Virtual Interrupt Intercept",
           Advice(
               causes=(
                   "an interrupt was pending while they were disabled; common without AVIC",
                   INJECTED_BY_VMM,
               ),
               remedies=("use kernel-irqchip=on; enable AVIC (kvm_amd avic=1)",),
               sources=(_SVM_C + "svm_enable_irq_window(), svm_set_vintr()",))),
    Reason(0x65, "cr0_sel_write", "ctrl_reg", Category.REGISTER,
           "Guest changed a CR0 bit other than TS and MP", _INSTRUCTION),
    _if_nested(0x66, "read_idtr", "SIDT"),
    _if_nested(0x67, "read_gdtr", "SGDT"),
    _if_nested(0x68, "read_ldtr", "SLDT"),
    _if_nested(0x69, "read_rt", "STR"),
    _if_nested(0x6A, "write_idtr", "LIDT"),
    _if_nested(0x6B, "write_gdtr", "LGDT"),
    _if_nested(0x6C, "write_ldtr", "LLDT"),
    _if_nested(0x6D, "write_rt", "LTR"),
    _if_nested(0x6E, "rdtsc", "RDTSC"),
    Reason(0x6F, "rdpmc", OTHER, Category.REGISTER,
           "Guest read a performance counter with RDPMC", _INSTRUCTION),
    _if_nested(0x70, "pushf", "PUSHF", Category.OTHER),
    _if_nested(0x71, "popf", "POPF", Category.OTHER),
    Reason(0x72, "cpuid", "inst_cpuid", Category.REGISTER,
           "Guest executed CPUID; always intercepted", _INSTRUCTION, CPUID),
    Reason(0x73, "rsm", OTHER, Category.OTHER,
           "Guest left system-management mode (RSM), which KVM emulates", _INSTRUCTION),
    Reason(0x74, "iret", OTHER, Category.INTERRUPT,
           "Guest executed IRET; intercepted to detect the end of an NMI handler", _INSTRUCTION),
    _if_nested(0x75, "swint", "INT n", Category.EXCEPTION),
    Reason(0x76, "invd", OTHER, Category.OTHER, "Guest executed INVD", _INSTRUCTION),
    Reason(0x77, "pause", "inst_ple", Category.SPIN,
           "Guest spun on PAUSE longer than the pause filter allows: a contended lock",
           "APM vol. 2 15.14.4, Pause Intercept Filtering", SPIN),
    Reason(0x78, "hlt", "inst_hlt", Category.IDLE,
           "Guest executed HLT: the vCPU is idle", _INSTRUCTION, HALT),
    Reason(0x79, "invlpg", OTHER, Category.MEMORY,
           "Guest executed INVLPG; exits with shadow paging only", _INSTRUCTION),
    _nested(0x7A, "invlpga", "INVLPGA"),
    Reason(0x7B, "io", "inst_io", Category.IO,
           "Guest executed IN, OUT, INS or OUTS: port I/O of a device", _IO, PORT_IO),
    Reason(MSR, "msr", OTHER, Category.REGISTER,
           "Guest accessed an MSR that KVM intercepts; read or write is not known", _MSR),
    Reason(MSR_READ, "msr:rd", "msr_rd", Category.REGISTER,
           "Guest read an MSR that KVM intercepts (RDMSR)", _MSR,
           Advice(
               causes=(
                   TIME_REF_COUNT,
                   "perf in the guest reads performance counters",
                   "a monitoring agent polls P-states, RAPL, APERF or MPERF",
               ),
               remedies=(
                   REFERENCE_TSC,
                   "stop the poller: turbostat, powertop, collectd's cpufreq in the guest",
                   WHICH_MSR,
               ),
               sources=(HYPERV_C, "Linux arch/x86/kvm/x86.c kvm_get_msr_common()")),
           printed=False),
    Reason(MSR_WRITE, "msr:wr", "msr_wr", Category.REGISTER,
           "Guest wrote an MSR that KVM intercepts (WRMSR): APIC timer, IPI, ...", _MSR,
           Advice(
               causes=(
                   "TSC_DEADLINE or APIC timer: the guest arms it at each tick and idle period",
                   STIMER,
                   "x2APIC ICR: the guest sends an IPI; x2APIC EOI, without AVIC",
               ),
               remedies=(
                   FEWER_TIMERS,
                   "enable AVIC (kvm_amd avic=1; x2AVIC since Zen 4), if the kernel supports it",
                   FEWER_WAKEUPS,
                   WHICH_MSR,
               ),
               sources=(HYPERV_C, _AVIC_C + "avic_hardware_setup()")),
           printed=False),
    Reason(0x7D, "task_switch", OTHER, Category.OTHER,
           "Guest attempted a hardware task switch",
           "APM vol. 2 15.14.1, Task Switch Intercept"),
    Reason(0x7E, "ferr_freeze", OTHER, Category.EXCEPTION,
           "Guest froze on a legacy x87 error (FERR); intercepted for nested hypervisors only",
           "APM vol. 2 15.14.2, Ferr_Freeze Intercept"),
    Reason(0x7F, "shutdown", OTHER, Category.EXCEPTION,
           "Guest shut down (triple fault): it crashes or resets",
           "APM vol. 2 15.14.3, Shutdown Intercept",
           Advice((RESET,), (LOOK_AT_CONSOLE,), (_SVM_C + "shutdown_interception()",))),
    _nested(0x80, "vmrun", "VMRUN"),
    Reason(0x81, "hypercall", "inst_vmcall", Category.HYPERCALL,
           "Guest made a hypercall with VMMCALL", "APM vol. 2 15.18, VMMCALL Instruction",
           HYPERCALL),
    _nested(0x82, "vmload", "VMLOAD"),
    _nested(0x83, "vmsave", "VMSAVE"),
    _nested(0x84, "stgi", "STGI"),
    _nested(0x85, "clgi", "CLGI"),
    Reason(0x86, "skinit", OTHER, Category.OTHER,
           "Guest executed SKINIT, which KVM does not support", _INSTRUCTION),
    Reason(0x87, "rdtscp", OTHER, Category.REGISTER,
           "Guest executed RDTSCP, which its CPUID does not offer", _INSTRUCTION),
    _if_nested(0x88, "icebp", "INT1 (ICEBP)", Category.EXCEPTION),
    Reason(0x89, "wbinvd", OTHER, Category.OTHER,
           "Guest executed WBINVD or WBNOINVD", _INSTRUCTION, WBINVD),
    Reason(0x8A, "monitor", OTHER, Category.IDLE,
           "Guest executed MONITOR; exits unless the VMM disables MWAIT exits", _INSTRUCTION),
    Reason(0x8B, "mwait", OTHER, Category.IDLE,
           "Guest executed MWAIT; exits unless the VMM disables MWAIT exits", _INSTRUCTION),
    Reason(0x8C, "mwait_cond", OTHER, Category.IDLE,
           "Guest executed MWAIT with the monitor armed; KVM intercepts every MWAIT instead",
           _INSTRUCTION, printed=False),
    Reason(0x8D, "xsetbv", "inst_xsetbv", Category.REGISTER,
           "Guest changed XCR0 with XSETBV", _INSTRUCTION, XSETBV),
    Reason(0x8E, "rdpru", OTHER, Category.REGISTER,
           "Guest executed RDPRU, which KVM does not support", _INSTRUCTION, printed=False),
    Reason(0x8F, "write_efer_trap", OTHER, Category.REGISTER,
           "SEV-ES guest wrote EFER; reported after the write", _WRITE_TRAP),
    *(Reason(0x90 + n, f"write_cr{n}_trap", "ctrl_reg", Category.REGISTER,
             f"SEV-ES guest wrote CR{n}; reported after the write", _WRITE_TRAP,
             printed=n in (0, 4, 8))
      for n in _REGISTERS),
    Reason(0xA0, "invlpgb", OTHER, Category.MEMORY,
           "Guest executed INVLPGB, which KVM does not support", _INSTRUCTION, printed=False),
    Reason(0xA1, "invlpgb_illegal", OTHER, Category.MEMORY,
           "Guest executed INVLPGB with values that are not allowed in a guest", _INSTRUCTION,
           printed=False),
    Reason(0xA2, "invpcid", OTHER, Category.MEMORY,
           "Guest executed INVPCID with shadow paging, or its CPUID does not offer INVPCID",
           _INSTRUCTION),
    Reason(0xA3, "mcommit", OTHER, Category.OTHER,
           "Guest executed MCOMMIT, which KVM does not support", _INSTRUCTION, printed=False),
    Reason(0xA4, "tlbsync", OTHER, Category.MEMORY,
           "Guest executed TLBSYNC, which KVM does not support", _INSTRUCTION, printed=False),
    Reason(0xA5, "buslock", OTHER, Category.OTHER,
           "Guest acquired a bus lock (split lock) with its bus lock counter at zero",
           "APM vol. 2 15.14.5, Bus Lock Threshold",
           Advice((SPLIT_LOCK,), (FIX_PROGRAM,),
                  (_SVM_C + "bus_lock_exit(); api.rst KVM_CAP_X86_BUS_LOCK_EXIT",))),
    Reason(0xA6, "idle-halt", "inst_hlt", Category.IDLE,
           "Guest executed HLT with no virtual interrupt pending", _INSTRUCTION, HALT),
    Reason(0x400, "npf", "ept", Category.MEMORY,
           "Guest accessed memory that nested paging does not map or permit; also MMIO",
           _NESTED_PAGING,
           Advice(
               causes=(
                   FIRST_TOUCH,
                   "MMIO of an emulated device, virtio kicks included: SVM has one code for both",
                   "the local APIC (0xfee00000), if the guest uses xAPIC and AVIC is off",
                   DIRTY_LOGGING,
                   RECLAIM,
               ),
               remedies=(
                   "to separate memory from MMIO: kstats exits --detail page, kvmstat's columns",
                   "memory: preallocate, use huge pages (hugetlbfs or THP); check swap and KSM",
                   "MMIO: use virtio or VFIO, reduce kicks, avoid the clock source hpet",
                   "local APIC: enable x2APIC (-cpu …,+x2apic) or AVIC (kvm_amd avic=1)",
               ),
               sources=(_SVM_C + "npf_interception(); arch/x86/kvm/mmu/mmu.c",))),
    Reason(0x401, "avic_incomplete_ipi", OTHER, Category.INTERRUPT,
           "Guest sent an IPI that AVIC could not deliver", _AVIC,
           Advice(
               causes=(
                   "an IPI to a vCPU that is not running: KVM must wake it",
                   "an IPI to several vCPUs, one of which does not exist; an NMI or INIT IPI",
               ),
               remedies=("reduce wake-ups of sleeping vCPUs; halt_poll_ns keeps them running",),
               sources=(_AVIC_C + "avic_incomplete_ipi_interception()",))),
    Reason(0x402, "avic_unaccelerated_access", OTHER, Category.INTERRUPT,
           "Guest accessed an APIC register that AVIC does not accelerate", _AVIC,
           Advice(
               causes=(
                   "a write of a register that AVIC leaves to KVM: timer (TMICT), LVT, ICR",
                   "EOI of a level-triggered interrupt",
               ),
               remedies=("reduce timers; use MSI instead of level-triggered interrupts",),
               sources=(_AVIC_C + "is_avic_unaccelerated_access_trap()",))),
    Reason(0x403, "vmgexit", OTHER, Category.HYPERCALL,
           "SEV-ES guest requested a service from KVM: I/O, MSR, CPUID, MMIO, ...", _SEV_ES,
           Advice(
               causes=("encrypted guests request I/O, MSR accesses and the like explicitly",),
               remedies=("as for other guests: use virtio, reduce timers; each exit costs more",),
               sources=("Linux arch/x86/kvm/svm/sev.c sev_handle_vmgexit()",))),
    _request(1, "vmgexit_mmio_read", Category.MEMORY, "SEV-ES guest read MMIO", "MMIO Access"),
    _request(2, "vmgexit_mmio_write", Category.MEMORY, "SEV-ES guest wrote MMIO", "MMIO Access"),
    _request(3, "vmgexit_nmi_complete", Category.INTERRUPT,
             "SEV-ES guest finished its NMI handler", "NMI Complete"),
    _request(4, "vmgexit_ap_hlt_loop", Category.IDLE,
             "SEV-ES guest parked a vCPU until its start-up IPI", "AP Reset Hold"),
    _request(5, "vmgexit_ap_jump_table", Category.HYPERCALL,
             "SEV-ES guest read or set its AP jump table", "AP Jump Table"),
    _request(0x10, "vmgexit_page_state_change", Category.MEMORY,
             "SEV-SNP guest made pages private or shared", "SNP Page State Change"),
    _request(0x11, "vmgexit_guest_request", Category.HYPERCALL,
             "SEV-SNP guest sent a message to the secure processor", "SNP Guest Request"),
    _request(0x12, "vmgexit_ext_guest_request", Category.HYPERCALL,
             "SEV-SNP guest sent a message and requested certificates with the answer",
             "SNP Extended Guest Request"),
    _request(0x13, "vmgexit_ap_creation", Category.HYPERCALL,
             "SEV-SNP guest created, changed or destroyed the state of a vCPU",
             "SNP AP Creation"),
    _request(0x14, "vmgexit_hv_doorbell_page", Category.INTERRUPT,
             "SEV-SNP guest set the page for interrupts that are injected as #HV",
             "#HV Doorbell Page", printed=False),
    _request(0x15, "vmgexit_hv_ipi", Category.INTERRUPT,
             "SEV-SNP guest sent an IPI", "#HV IPI", printed=False),
    _request(0x16, "vmgexit_hv_timer", Category.INTERRUPT,
             "SEV-SNP guest used its APIC timer", "#HV Timer", printed=False),
    _request(0x17, "vmgexit_apic_id_list", Category.HYPERCALL,
             "SEV-SNP guest asked for the APIC IDs of its vCPUs", "APIC ID List", printed=False),
    _request(0x18, "vmgexit_snp_run_vmpl", Category.HYPERCALL,
             "SEV-SNP guest switched a vCPU to another privilege level (SVSM)", "SNP Run VMPL",
             printed=False),
    _request(0x1A, "vmgexit_savic", Category.INTERRUPT,
             "SEV-SNP guest registered the page of its Secure AVIC", "Secure AVIC", printed=False),
    _request(0xFFFD, "vmgexit_hypervisor_feature", Category.HYPERCALL,
             "SEV-ES guest asked which features the hypervisor supports",
             "Hypervisor Feature Support"),
    _request(0xFFFE, "vmgexit_term_request", Category.HYPERCALL,
             "SEV-ES guest asked to be terminated", "Termination Request", printed=False),
    _request(0xFFFF, "vmgexit_unsupported_event", Category.HYPERCALL,
             "SEV-ES guest got a #VC that it does not support", "Unsupported Non-Automatic Event",
             printed=False),
    Reason(0xF000_0000, "sw", OTHER, Category.OTHER,
           "A code for software: Hyper-V reports its own exits of nested guests with it",
           "Linux arch/x86/include/uapi/asm/svm.h, SVM_EXIT_SW", printed=False),
    Reason(0xFFFF_FFFC, "invalid_pmc", OTHER, Category.OTHER,
           "VMRUN failed: the guest's performance-counter state is invalid", _EXIT_CODES,
           printed=False),
    Reason(0xFFFF_FFFD, "idle_required", OTHER, Category.OTHER,
           "VMRUN failed: the sibling thread is not idle, as the SEV-SNP guest requires",
           _EXIT_CODES, printed=False),
    Reason(0xFFFF_FFFE, "busy", OTHER, Category.OTHER,
           "VMRUN failed: the save area of the SEV-SNP guest is in use", _EXIT_CODES,
           printed=False),
    Reason(0xFFFF_FFFF, "invalid_guest_state", OTHER, Category.OTHER,
           "VMRUN failed: the guest state in the VMCB is invalid",
           "APM vol. 2 15.5, VMRUN Instruction",
           Advice(
               causes=(
                   BAD_SMM,
                   "nested KVM: the hypervisor below lacks a feature, such as SMM or an MSR",
                   BAD_STATE,
               ),
               remedies=(
                   UPDATE_HOST,
                   "log the state: kvm_amd dump_invalid_vmcb=1; report it as a bug of the VMM",
               ),
               sources=(
                   "APM vol. 2 15.5.1, Canonicalization and Consistency Checks",
                   _SVM_C + "svm_handle_exit(), dump_vmcb()",
               ))),
)
# fmt: on

CATEGORY_NOTES = {
    Category.INTERRUPT: (
        "`nmi` is counted here, and `iret`: KVM intercepts it to detect the end of an NMI handler.",
        "The guest's APIC timer is counted here as `interrupt`: KVM runs it as a host timer.",
    ),
    Category.MEMORY: (
        "`npf` is one code for MMIO and for missing memory.",
        XAPIC_IS.format("`npf`, if AVIC is off", "Intel", "interrupt"),
        SHADOW_PAGING.format("`invlpg` and `invpcid`"),
    ),
    Category.REGISTER: (CPUID_IS_HERE, X2APIC_IS_HERE),
    Category.IDLE: (HALTS_UNSEEN,),
    Category.HYPERCALL: (
        (
            "All requests of a SEV-ES guest (I/O, MSRs, CPUID, MMIO, ...) are `vmgexit` and are"
            " counted here, so its other categories are nearly empty. The kernel also has names for"
            " single requests (`vmgexit_mmio_read`, ...); these are in the category of the request."
        ),
    ),
    Category.EXCEPTION: (
        "One code for each exception. `PF excp` is a guest page fault with shadow paging.",
    ),
}

SVM = Isa(
    name="svm",
    title="AMD SVM",
    reasons=REASONS,
    tables=(NameTable("REC->exit_reason"),),
    category_notes=CATEGORY_NOTES,
    spellings=spellings.SVM,
    event=trace_format.SVM,
    details=details.kinds(
        msr=(MSR_READ, MSR_WRITE),
        io=(0x7B,),
        mmio=(0x400,),
        hypercall=(0x81,),
        cr=(*range(0x20), 0x65, *range(0x90, 0xA0)),
    ),
)
