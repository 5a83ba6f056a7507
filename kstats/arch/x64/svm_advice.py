"""Why the SVM exits that matter to operators are frequent, and what helps: {name: advice}."""

from __future__ import annotations

from kstats.arch.base import Advice
from kstats.arch.x64.advice import CPUID, HALT, HYPERCALL, INTERRUPT, PORT_IO, SPIN, XSETBV

ADVICE: dict[str, Advice] = {
    "interrupt": INTERRUPT,
    "hlt": HALT,
    "idle-halt": HALT,
    "pause": SPIN,
    "cpuid": CPUID,
    "hypercall": HYPERCALL,
    "io": PORT_IO,
    "xsetbv": XSETBV,
    "npf": Advice(
        causes=(
            "first touch of memory: the guest has just started, or its balloon was deflated",
            "MMIO of an emulated device, virtio kicks included: SVM has one code for both",
            "dirty logging: live migration or a snapshot write-protects all memory",
            "the host took pages away: swap, KSM, page migration by NUMA balancing or compaction",
        ),
        cures=(
            "which of both: the kernel's events kvm_page_fault and kvm_mmio, or kvmstat's columns",
            "memory: huge pages (hugetlbfs or THP), preallocation; look at swap and KSM",
            "MMIO: virtio or VFIO in place of emulated devices, fewer kicks, no hpet as a clock",
        ),
    ),
    "msr:wr": Advice(
        causes=(
            "IA32_TSC_DEADLINE or the APIC's timer: the guest arms it at each tick and idle period",
            "x2APIC ICR: the guest sends an IPI (wake-ups, TLB shootdowns); EOI, without AVIC",
        ),
        cures=(
            "fewer timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250",
            "AVIC (kvm_amd avic=1; x2AVIC from Zen 4 on), where the kernel allows it",
            "fewer wake-ups between vCPUs: pin the guest's threads, give it fewer vCPUs",
            "the kernel's event kvm_msr has the number of the MSR",
        ),
    ),
    "msr:rd": Advice(
        causes=(
            "the guest polls MSRs that KVM emulates: P-states, RAPL, performance counters",
            "APERF and MPERF, read by the guest's scheduler or by monitoring agents",
        ),
        cures=(
            "stop what polls: turbostat, powertop, collectd's cpufreq in the guest",
            "the kernel's event kvm_msr has the number of the MSR",
        ),
    ),
    "vintr": Advice(
        causes=(
            "an interrupt waited for the guest to allow interrupts; common without AVIC or vGIF",
            "a device model that injects interrupts from user space (no in-kernel irqchip)",
        ),
        cures=("kernel-irqchip=on; AVIC (kvm_amd avic=1)",),
    ),
    "avic_incomplete_ipi": Advice(
        causes=("an IPI to a vCPU that is not running just now: KVM must wake it",),
        cures=("nothing; many of them are wake-ups of sleeping vCPUs: fewer of these helps",),
    ),
    "avic_unaccelerated_access": Advice(
        causes=("the guest wrote an APIC register that AVIC leaves to KVM: timer, LVT, EOI",),
        cures=("fewer timers (tickless guest); MSI in place of level-triggered interrupts",),
    ),
    "vmgexit": Advice(
        causes=("a SEV-ES or SEV-SNP guest asks for what others exit by themselves: I/O, MSRs",),
        cures=("as for the plain exits: virtio, fewer timers; encrypted guests pay more for each",),
    ),
    "PF excp": Advice(
        causes=("shadow paging: nested paging is off, or a nested hypervisor has none",),
        cures=("nested paging on (kvm_amd npt=1)",),
    ),
    "AC excp": Advice(
        causes=("a split lock or a misaligned access in the guest",),
        cures=("mend the program; kernel parameter split_lock_detect of the guest names it",),
    ),
    "nmi": Advice(
        causes=("NMIs of the host: perf or the NMI watchdog samples while guests run",),
        cures=("echo 0 > /proc/sys/kernel/nmi_watchdog; lower the frequency of perf on the host",),
    ),
    "wbinvd": Advice(
        causes=("a guest with a passed-through device flushes caches (GPU drivers, ACPI)",),
        cures=("a device that snoops (IOMMU with coherent DMA) makes KVM ignore WBINVD",),
    ),
    "shutdown": Advice(
        causes=("the guest crashed early (triple fault), or resets itself in the old way",),
        cures=("the guest's console; a loop of them is a guest that does not boot",),
    ),
    "invalid_guest_state": Advice(
        causes=("a VMM or a nested hypervisor set registers that the processor refuses",),
        cures=("dump_invalid_vmcb=1 of kvm_amd logs the state; report it to the VMM's authors",),
    ),
}
