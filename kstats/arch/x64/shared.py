"""Advice and notes that hold for VMX and for SVM."""

from __future__ import annotations

from kstats.arch.base import Advice

INTERRUPT = Advice(
    causes=(
        "the host's own timer tick: HZ times a second on each busy CPU",
        "host devices with interrupts on CPUs that run guests",
        "host IPIs: rescheduling, TLB flushes, a VMM that kicks its vCPUs",
    ),
    remedies=(
        "move interrupts to other CPUs: /proc/irq/*/smp_affinity, irqbalance banned CPUs",
        "dedicate isolated CPUs to vCPUs: isolcpus, nohz_full, cpusets",
        "use posted interrupts (APICv, AVIC) for passed-through devices",
    ),
)

HALT = Advice(
    causes=(
        "an idle guest: one exit each time a vCPU runs out of work; harmless by itself",
        "a guest that sleeps and wakes often: short timers, vCPUs that wake each other",
    ),
    remedies=(
        "none is needed if the host CPU is idle too",
        "to reduce wake-up latency: halt_poll_ns of the kvm module, or haltpoll in the guest",
        "on dedicated CPUs: QEMU's -overcommit cpu-pm=on keeps HLT and MWAIT in the guest",
    ),
)

SPIN = Advice(
    causes=(
        "a vCPU waits for a lock that a preempted vCPU holds: the host is overcommitted",
        "the guest kernel has no paravirtual spinlocks",
    ),
    remedies=(
        "run fewer vCPUs on the host or in the guest; check steal time in the guest",
        "enable kvm-pv-unhalt (Linux) or hv-spinlocks (Windows)",
        "on dedicated CPUs: ple_gap=0 (kvm_intel) or pause_filter_count=0 (kvm_amd)",
    ),
)

CPUID = Advice(
    causes=(
        "a program that executes CPUID to serialize or in a hot path",
        "program starts: the dynamic loader reads CPU features several times for each",
        "benchmarks and monitoring agents that poll CPUID",
    ),
    remedies=("find the program: perf kvm --guest, or perf record in the guest",),
)

HYPERCALL = Advice(
    causes=(
        "paravirtual wake-ups (pv-unhalt), IPIs (pv-ipi) and TLB flushes",
        "Hyper-V enlightenments of Windows guests: timers, IPIs, TLB flushes",
    ),
    remedies=(
        "many wake-ups: the guest's vCPUs contend for locks; check steal time in the guest",
        "to see which hypercalls: kstats exits --detail hypercall",
    ),
)

PORT_IO = Advice(
    causes=(
        "an emulated device with ports: serial console, IDE, PIT, ACPI PM timer, old virtio-pci",
        "a guest with the clock source acpi_pm: each clock read is an exit",
        "delays of old drivers: writes to ports 0x80 and 0xed",
    ),
    remedies=(
        "use virtio 1 devices (disable-legacy=on); virtio-scsi or virtio-blk in place of IDE",
        "use the clock source kvm-clock or tsc; on Windows hv-time",
        "reduce serial console output; to see which ports: kstats exits --detail io",
    ),
)

XSETBV = Advice(
    causes=(
        "the guest sets XCR0 when it boots",
        "a steady rate comes from a nested hypervisor that switches guests",
    ),
    remedies=("none needed",),
)

FIRST_TOUCH = "first touch of memory: the guest has just started, or its balloon was deflated"
DIRTY_LOGGING = "dirty logging: live migration or a snapshot write-protects all memory"
RECLAIM = "the host reclaimed or moved pages: swap, KSM, NUMA balancing, compaction"
FEWER_TIMERS = "reduce timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250"
FEWER_WAKEUPS = "reduce wake-ups between vCPUs: pin the guest's threads, use fewer vCPUs"
WHICH_MSR = "to see which MSRs: kstats exits --detail msr"
NMI_CAUSE = "host NMIs: perf or the NMI watchdog samples while guests run"
FEWER_NMIS = "echo 0 > /proc/sys/kernel/nmi_watchdog; lower perf's sampling frequency on the host"
BAD_STATE = "a VMM or a nested hypervisor set register values that the processor rejects"
RESET = "the guest crashed early in boot, or resets itself with a triple fault"
LOOK_AT_CONSOLE = "check the guest's console; repeated exits are a guest that fails to boot"
WBINVD = "a guest with a passed-through device flushes caches (GPU drivers, ACPI)"
INJECTED_BY_VMM = "the VMM injects interrupts from user space (no in-kernel irqchip)"

SHADOW_PAGING = "{} occur with shadow paging only."

CPUID_IS_HERE = "CPUID is counted here: on other architectures it is a register read."

X2APIC_IS_HERE = "Intercepted writes of x2APIC registers are MSR writes and are counted here."

HALTS_UNSEEN = (
    "A guest that polls before it halts, or with HLT not intercepted, shows fewer exits than its"
    " idle periods."
)
