"""What VMX and SVM have in common: causes and cures of the same things under two names."""

from __future__ import annotations

from kstats.arch.base import Advice

INTERRUPT = Advice(
    causes=(
        "the host's own timer tick (HZ a second on each busy CPU)",
        "devices of the host whose interrupts go to CPUs that run guests",
        "IPIs of the host: rescheduling, TLB flushes, kicks of the VMM for other vCPUs",
    ),
    cures=(
        "keep interrupts away: irqbalance banned CPUs, /proc/irq/*/smp_affinity",
        "isolated CPUs for vCPUs (isolcpus, nohz_full, cpusets), one vCPU each",
        "posted interrupts (APICv, AVIC) for passed-through devices",
    ),
)

HALT = Advice(
    causes=(
        "an idle guest: one exit for each time it has nothing to do; no harm by itself",
        "a guest that sleeps and wakes often: many short timers, ping-pong between vCPUs",
    ),
    cures=(
        "nothing, if the host's CPU is idle too",
        "for latency: halt_poll_ns of the kvm module, or haltpoll in the guest",
        "for latency on dedicated CPUs: -overcommit cpu-pm=on lets HLT and MWAIT stay inside",
    ),
)

SPIN = Advice(
    causes=(
        "a vCPU waits for a lock whose holder is not running: the host has too few CPUs",
        "a guest kernel without paravirtual spin locks",
    ),
    cures=(
        "fewer vCPUs on the host, or fewer per guest: look at steal time in the guest",
        "kvm-pv-unhalt (Linux), hv-spinlocks (Windows)",
        "on dedicated CPUs: ple_gap=0 (Intel) or pause_filter_count=0 (AMD) turns it off",
    ),
)

CPUID = Advice(
    causes=(
        "CPUID used as a serializing instruction or in a hot path of a program",
        "programs that start: each dynamic loader asks for the CPU's features several times",
        "benchmarks and monitoring agents that poll it",
    ),
    cures=("find who does: perf kvm --guest, or perf record in the guest; it always exits",),
)

HYPERCALL = Advice(
    causes=(
        "paravirtual wake-ups of a vCPU (pv-unhalt), IPIs (pv-ipi), TLB flushes",
        "Hyper-V enlightenments of Windows: timers, IPIs, TLB flushes",
    ),
    cures=(
        "many wake-ups: the guest's vCPUs contend for locks; see its steal time",
        "the kernel's events kvm_hypercall and kvm_hv_hypercall have the number",
    ),
)

PORT_IO = Advice(
    causes=(
        "an emulated device with ports: serial console, IDE, PIT, ACPI PM timer, old virtio-pci",
        "a guest whose clock source is acpi_pm: an exit for each look at the clock",
        "0x80 and 0xed: delays of old drivers",
    ),
    cures=(
        "virtio 1 (disable-legacy=on) over MMIO bars; virtio-scsi or virtio-blk for IDE",
        "clock source kvm-clock or tsc; on Windows hv-time",
        "less output on the serial console; the kernel's event kvm_pio has the port",
    ),
)

XSETBV = Advice(
    causes=("the guest sets XCR0 at start; often only if a nested hypervisor switches guests",),
    cures=("nothing; steady ones come from a hypervisor in the guest",),
)
