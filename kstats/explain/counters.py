"""KVM's statistics: kvm_stat, /sys/kernel/debug/kvm, KVM_GET_STATS_FD.

They are counters of KVM's own, not exit codes: an exit may increment none or several. A row has
the meaning and the exit reasons that increment it, if it counts exits.
"""

from __future__ import annotations

SOURCE = (
    "Linux arch/x86/kvm/x86.c kvm_vcpu_stats_desc, arch/arm64/kvm/guest.c, include/linux/kvm_host.h"
)

EVENT_SOURCE = "Linux include/trace/events/kvm.h, arch/x86/kvm/trace.h, arch/arm64/kvm/trace_arm.h"

_EVERY = ""

VCPU: dict[str, tuple[str, str]] = {
    "exits": ("all VM exits; before Linux 6.4 without those that the fast path handles", _EVERY),
    "io_exits": ("exits by port I/O", "vmx:30 svm:0x7b"),
    "mmio_exits": (
        "accesses to memory-mapped devices that go to the VMM; a subset of the exits by MMIO",
        "vmx:49 vmx:48 svm:0x400",
    ),
    "signal_exits": ("returns to the VMM because of a signal (KVM_EXIT_INTR)", ""),
    "irq_window_exits": ("exits when the guest can accept an interrupt again", "vmx:7 svm:0x64"),
    "irq_window": ("the former name of irq_window_exits in debugfs", "vmx:7 svm:0x64"),
    "nmi_window_exits": ("exits when the guest can accept an NMI again", "vmx:8 svm:0x74"),
    "nmi_window": ("the former name of nmi_window_exits in debugfs", "vmx:8 svm:0x74"),
    "l1d_flush": ("flushes of the L1 data cache before an entry (L1TF mitigation)", ""),
    "halt_exits": ("halts of the vCPU by HLT", "vmx:12 svm:0x78"),
    "request_irq_exits": (
        "returns to a VMM without in-kernel irqchip that asked for an interrupt window",
        "vmx:7 svm:0x64",
    ),
    "request_irq": ("the former name of request_irq_exits in debugfs", "vmx:7 svm:0x64"),
    "irq_exits": ("exits by host interrupts", "vmx:1 svm:0x60"),
    "host_state_reload": (
        "how often KVM restored the host's registers: when the vCPU thread leaves the run loop",
        "",
    ),
    "fpu_reload": (
        "how often KVM exchanged the FPU registers: once for each KVM_RUN, not for each exit",
        "",
    ),
    "insn_emulation": ("instructions that KVM emulated: MMIO, string I/O, real mode", ""),
    "insn_emulation_fail": ("instructions that KVM failed to emulate", ""),
    "hypercalls": ("hypercalls of the guest", "vmx:18 svm:0x81"),
    "irq_injections": ("interrupts that KVM injected; without those of APICv and AVIC", ""),
    "nmi_injections": ("NMIs that KVM injected", ""),
    "req_event": ("entries before which KVM checked for pending events", ""),
    "nested_run": ("entries of nested guests", ""),
    "directed_yield_attempted": (
        "attempts to yield to a preempted vCPU (KVM_HC_SCHED_YIELD)",
        "vmx:18 svm:0x81",
    ),
    "directed_yield_successful": ("attempts to yield that ran the other vCPU", ""),
    "preemption_reported": (
        "preemptions of the vCPU that KVM reported to the guest (steal time)",
        "",
    ),
    "preemption_other": ("preemptions within an exit, which KVM does not report to the guest", ""),
    "guest_mode": ("1 while the vCPU runs a nested guest", ""),
    "notify_window_exits": ("exits because the guest blocked event delivery", "vmx:75"),
    "pf_taken": ("page faults that KVM handled: EPT, NPT or shadow paging", "vmx:48 svm:0x400"),
    "pf_fixed": ("page faults that KVM resolved by mapping a page", "vmx:48 svm:0x400"),
    "pf_emulate": ("page faults that KVM resolved by emulating the instruction", ""),
    "pf_spurious": ("page faults that another vCPU had resolved already", ""),
    "pf_fast": ("page faults that KVM resolved without a lock: access or dirty tracking", ""),
    "pf_mmio_spte_created": ("page faults at which KVM marked an address as MMIO", ""),
    "pf_guest": ("page faults that KVM gave to the guest (shadow paging)", "vmx:0 svm:0x4e"),
    "tlb_flush": ("flushes of the vCPU's TLB", ""),
    "invlpg": ("INVLPG instructions that KVM emulated (shadow paging)", "vmx:14 svm:0x79"),
    "hvc_exit_stat": ("exits by HVC", "arm64:0x16 arm64:0x12"),
    "wfe_exit_stat": ("exits by WFE: a vCPU spins on a lock", "arm64:0x01"),
    "wfi_exit_stat": ("exits by WFI: the vCPU is idle", "arm64:0x01"),
    "mmio_exit_user": ("accesses to memory-mapped devices of the VMM", "arm64:0x24"),
    "mmio_exit_kernel": ("accesses to memory-mapped devices of the kernel", "arm64:0x24"),
    "halt_successful_poll": ("halts that ended while KVM polled for a wake-up", ""),
    "halt_attempted_poll": ("halts for which KVM polled", ""),
    "halt_poll_invalid": ("polls that ended for another reason than a wake-up", ""),
    "halt_wakeup": ("wake-ups of a halted vCPU", ""),
    "halt_poll_success_ns": ("nanoseconds of polling that ended in a wake-up", ""),
    "halt_poll_fail_ns": ("nanoseconds of polling in vain: CPU time that the host lost", ""),
    "halt_wait_ns": ("nanoseconds that the vCPU was blocked after a halt", ""),
    "halt_poll_success_hist": ("histogram of halt_poll_success_ns by powers of two", ""),
    "halt_poll_fail_hist": ("histogram of halt_poll_fail_ns by powers of two", ""),
    "halt_wait_hist": ("histogram of halt_wait_ns by powers of two", ""),
    "blocking": ("1 while the vCPU is blocked after a halt", ""),
}
"""Of each vCPU: by name, the meaning and the exit reasons that increment it."""

VM: dict[str, tuple[str, str]] = {
    "mmu_shadow_zapped": ("shadow page tables that KVM freed", ""),
    "mmu_pte_write": ("writes of the guest to page tables that KVM shadows", ""),
    "mmu_pte_updated": ("shadow entries that KVM updated after such a write; older kernels", ""),
    "mmu_pde_zapped": ("shadow page directories that KVM dropped", ""),
    "mmu_flooded": ("shadow page tables that KVM dropped because of many writes", ""),
    "mmu_recycled": ("shadow page tables that KVM freed to make room for others", ""),
    "mmu_cache_miss": ("page tables that KVM had to build", ""),
    "mmu_unsync": ("shadow page tables that differ from the guest's", ""),
    "mmu_shadow_pages": ("shadow page tables in use", ""),
    "remote_tlb_flush": ("TLB flushes on all CPUs that run the VM", ""),
    "remote_tlb_flush_requests": ("requests of such a flush, also unnecessary ones", ""),
    "lpages": ("huge pages that KVM mapped; older kernels", ""),
    "largepages": ("huge pages that KVM mapped; older kernels", ""),
    "pages_4k": ("4 KiB pages that are mapped: with huge pages there are few", ""),
    "pages_2m": ("2 MiB pages that are mapped", ""),
    "pages_1g": ("1 GiB pages that are mapped", ""),
    "nx_lpage_splits": ("huge pages split to execute from them (iTLB multihit mitigation)", ""),
    "nx_largepages_split": ("the former name of nx_lpage_splits in debugfs", ""),
    "max_mmu_page_hash_collisions": ("the longest chain in the hash of page tables", ""),
    "max_mmu_rmap_size": ("the longest list of mappings of one guest page", ""),
}
"""Of each VM: by name, the meaning, and no exit reasons."""

EVENTS: dict[str, tuple[str, str]] = {
    "kvm_exit": ("the CPU left a guest; its reason is the exit reason", ""),
    "kvm_entry": ("the CPU is about to enter a guest", ""),
    "kvm_userspace_exit": ("KVM_RUN returns to the VMM, for one of KVM_EXIT_*", ""),
    "kvm_mmio": (
        "an access to a memory-mapped device that KVM emulates",
        "vmx:49 vmx:48 svm:0x400 arm64:0x24",
    ),
    "kvm_fast_mmio": ("a virtio kick that an ioeventfd took without emulation", "vmx:49"),
    "kvm_pio": ("an access to an I/O port", "vmx:30 svm:0x7b"),
    "kvm_msr": ("an access to an MSR that KVM intercepts", "vmx:31 vmx:32 svm:msr:rd svm:msr:wr"),
    "kvm_cr": ("an access to a control register that KVM intercepts", "vmx:28 svm:0x10 svm:0x14"),
    "kvm_cpuid": ("the guest executed CPUID", "vmx:10 svm:0x72"),
    "kvm_hypercall": ("the guest made a hypercall", "vmx:18 svm:0x81"),
    "kvm_hv_hypercall": ("the guest made a Hyper-V hypercall", "vmx:18 svm:0x81"),
    "kvm_hvc_arm64": ("the guest executed HVC", "arm64:0x16"),
    "kvm_wfx_arm64": ("the guest executed WFI or WFE", "arm64:0x01"),
    "kvm_sys_access": ("an access to a system register that KVM intercepts", "arm64:0x18"),
    "kvm_guest_fault": ("a fault of stage 2, before KVM knows memory from MMIO", "arm64:0x24"),
    "kvm_access_fault": ("a fault of stage 2 for the access flag", "arm64:0x24"),
    "kvm_page_fault": ("a fault of EPT, NPT or shadow paging", "vmx:48 svm:0x400"),
    "kvm_apic": ("an access to the local APIC that KVM emulates", "vmx:44 vmx:32 svm:msr:wr"),
    "kvm_eoi": ("the guest ended an interrupt, and KVM took notice", "vmx:45 vmx:32 svm:msr:wr"),
    "kvm_pv_eoi": ("the guest ended an interrupt without an exit (PV EOI)", ""),
    "kvm_ple_window_update": ("KVM adapted the window of PAUSE loops", "vmx:40 svm:0x77"),
    "kvm_emulate_insn": ("KVM emulated an instruction", ""),
    "kvm_inj_virq": ("KVM injected an interrupt; not an exit", ""),
    "kvm_inj_exception": ("KVM injected an exception; not an exit", ""),
    "kvm_set_irq": ("a device raised or lowered an interrupt line", ""),
    "kvm_msi_set_irq": ("a device or the VMM sent an MSI", ""),
    "kvm_apic_accept_irq": ("a virtual APIC accepted an interrupt", ""),
    "kvm_apic_ipi": ("the guest sent an IPI that KVM emulates", "vmx:32 vmx:56 svm:msr:wr"),
    "kvm_avic_incomplete_ipi": ("an IPI that AVIC could not deliver", "svm:0x401"),
    "kvm_avic_unaccelerated_access": ("an APIC access that AVIC left to KVM", "svm:0x402"),
    "kvm_vcpu_wakeup": ("a halted vCPU was woken; with the time it was blocked or polled", ""),
    "kvm_halt_poll_ns": ("KVM adapted the time that it polls for a halted vCPU", ""),
    "kvm_fpu": ("KVM exchanged the FPU registers: at KVM_RUN, not at exits", ""),
    "kvm_nested_vmexit": ("a nested guest (L2) left to KVM", ""),
    "kvm_nested_vmexit_inject": ("KVM gave an exit of a nested guest to its hypervisor", ""),
    "kvm_write_tsc_offset": ("KVM changed the TSC offset of a vCPU", ""),
    "kvm_hv_stimer_expiration": ("a synthetic timer of a Windows guest expired", ""),
    "kvm_timer_update_irq": ("the guest's timer interrupt changed", "arm64:IRQ"),
    "vgic_update_irq_pending": ("a virtual interrupt became pending or not", ""),
}
"""KVM's trace events: by name, the meaning and the exit reasons that lead to them."""
