"""Why the VMX exits that matter to operators are frequent, and what helps: {name: advice}."""

from __future__ import annotations

from kstats.arch.base import Advice
from kstats.arch.x64.advice import CPUID, HALT, HYPERCALL, INTERRUPT, PORT_IO, SPIN, XSETBV

ADVICE: dict[str, Advice] = {
    "EXTERNAL_INTERRUPT": INTERRUPT,
    "HLT": HALT,
    "PAUSE_INSTRUCTION": SPIN,
    "CPUID": CPUID,
    "VMCALL": HYPERCALL,
    "IO_INSTRUCTION": PORT_IO,
    "XSETBV": XSETBV,
    "EPT_VIOLATION": Advice(
        causes=(
            "first touch of memory: the guest has just started, or its balloon was deflated",
            "dirty logging: live migration or a snapshot write-protects all memory",
            "the host took pages away: swap, KSM, page migration by NUMA balancing or compaction",
            "writes to ROM or flash (pflash), which KVM write-protects",
        ),
        cures=(
            "at start it ends by itself; to have it over before: preallocate, with huge pages",
            "huge pages (hugetlbfs or THP) make one exit of 512",
            "steady and without migration: look at swap (vmstat si so), KSM, numa_balancing",
        ),
    ),
    "EPT_MISCONFIG": Advice(
        causes=(
            "MMIO of an emulated device: virtio notifications, VGA, HPET, IO-APIC, e1000",
            "one virtio kick each: vhost's go through ioeventfd, but they exit all the same",
        ),
        cures=(
            "virtio or VFIO in place of emulated devices (e1000, AHCI, VGA)",
            "fewer kicks: larger batches, more queue depth, polling (DPDK, io_uring) in the guest",
            "a guest whose clock source is hpet: give it kvm-clock or the TSC",
        ),
    ),
    "MSR_WRITE": Advice(
        causes=(
            "IA32_TSC_DEADLINE: the guest arms its timer, at each tick and each idle period",
            "x2APIC ICR: the guest sends an IPI (wake-ups, TLB shootdowns)",
            "x2APIC EOI, on processors without APICv",
            "IA32_SPEC_CTRL, on some mitigations and older kernels",
        ),
        cures=(
            "fewer timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250",
            "APICv with posted interrupts (kvm_intel enable_apicv=1); IPI virtualization",
            "fewer wake-ups between vCPUs: pin the guest's threads, give it fewer vCPUs",
            "the kernel's event kvm_msr has the number of the MSR",
        ),
    ),
    "MSR_READ": Advice(
        causes=(
            "the guest polls MSRs that KVM emulates: thermal, RAPL, performance counters",
            "APERF and MPERF, read by the guest's scheduler or by monitoring agents",
        ),
        cures=(
            "stop what polls: turbostat, powertop, collectd's cpufreq, mcelog in the guest",
            "the kernel's event kvm_msr has the number of the MSR",
        ),
    ),
    "PREEMPTION_TIMER": Advice(
        causes=("the guest's APIC timer ran out while the guest was running: one exit a timer",),
        cures=(
            "as for timers: a tickless guest, a lower HZ",
            "it is cheaper than the host timer (hrtimer) that replaces it: leave it on",
        ),
    ),
    "APIC_WRITE": Advice(
        causes=(
            "a write to a virtual APIC register that APICv traps after the fact: ICR, timer",
            "IPIs between vCPUs on processors without IPI virtualization",
        ),
        cures=("fewer IPIs: pin the guest's threads; x2APIC in the guest; a newer processor",),
    ),
    "APIC_ACCESS": Advice(
        causes=("the guest drives its APIC through memory (xAPIC) and no APICv helps",),
        cures=(
            "x2APIC in the guest (-cpu …,+x2apic); APICv (kvm_intel enable_apicv=1)",
            "hv-vapic for Windows",
        ),
    ),
    "EOI_INDUCED": Advice(
        causes=(
            "a level-triggered interrupt ended (INTx of an emulated or passed-through device)",
        ),
        cures=("MSI or MSI-X in place of INTx: virtio, VFIO, and a guest driver that uses it",),
    ),
    "INTERRUPT_WINDOW": Advice(
        causes=(
            "an interrupt waited for the guest to allow interrupts; common without APICv",
            "a device model that injects interrupts from user space (no in-kernel irqchip)",
        ),
        cures=("kernel-irqchip=on; APICv (kvm_intel enable_apicv=1)",),
    ),
    "CR_ACCESS": Advice(
        causes=(
            "CR3 loads, where there is no EPT (kvm_intel ept=0) or unrestricted guest",
            "CR0.TS or CR4 changes: old guests that switch the FPU lazily; CR8 of 32-bit Windows",
        ),
        cures=("EPT on (kvm_intel ept=1 unrestricted_guest=1); a newer guest kernel",),
    ),
    "EXCEPTION_NMI": Advice(
        causes=(
            "NMIs of the host: perf or the NMI watchdog samples while guests run",
            "page faults, where there is no EPT; #DB and #BP, while the guest is debugged",
            "#UD of instructions that KVM emulates; #AC of split locks",
        ),
        cures=(
            "echo 0 > /proc/sys/kernel/nmi_watchdog; lower the frequency of perf on the host",
            "many #UD: the guest's CPU model lacks what its program uses",
        ),
    ),
    "PML_FULL": Advice(
        causes=("live migration: the guest wrote 512 pages since the log was last emptied",),
        cures=("it ends with the migration; auto-converge or multifd makes that sooner",),
    ),
    "TPR_BELOW_THRESHOLD": Advice(
        causes=("the guest lowered its task priority (CR8): Windows does it all the time",),
        cures=("APICv (kvm_intel enable_apicv=1); hv-vapic for Windows",),
    ),
    "MWAIT_INSTRUCTION": Advice(
        causes=("a guest idles with MWAIT although KVM does not pass it through",),
        cures=("idle=halt in the guest, or -overcommit cpu-pm=on on a host with spare CPUs",),
    ),
    "TRIPLE_FAULT": Advice(
        causes=("the guest crashed early, or resets itself in the old way",),
        cures=("the guest's console; a loop of them is a guest that does not boot",),
    ),
    "WBINVD": Advice(
        causes=("a guest with a passed-through device flushes caches (GPU drivers, ACPI)",),
        cures=("a device that snoops (IOMMU with snoop control) makes KVM ignore WBINVD",),
    ),
    "BUS_LOCK": Advice(
        causes=("an atomic operation across two cache lines: it stalls every CPU of the host",),
        cures=("mend the program; QEMU's bus-lock-ratelimit bounds the harm",),
    ),
    "INVALID_STATE": Advice(
        causes=("a VMM or a nested hypervisor set registers that the processor refuses",),
        cures=("dump_invalid_vmcs=1 of kvm_intel logs the state; report it to the VMM's authors",),
    ),
}
