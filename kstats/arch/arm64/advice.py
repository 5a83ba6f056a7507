"""Why the ARM64 exits that matter to operators are frequent, and what helps: {name: advice}."""

from __future__ import annotations

from kstats.arch.base import Advice

ADVICE: dict[str, Advice] = {
    "WFx": Advice(
        causes=(
            "WFI: an idle guest, one exit for each time it has nothing to do; no harm by itself",
            "WFE: a vCPU spins on a lock while something else wants to run on its CPU",
        ),
        cures=(
            "nothing, if the host's CPU is idle too; for latency: halt_poll_ns of the kvm module",
            "the kernel's event kvm_wfx_arm64 tells WFI from WFE",
            "many WFE: the host has too few CPUs for its vCPUs; see steal time in the guest",
        ),
    ),
    "DABT_LOW": Advice(
        causes=(
            "first touch of memory: the guest has just started, or its balloon was deflated",
            "MMIO of an emulated device, virtio kicks included: one code for both",
            "GICv2 emulation, or GICv3's distributor: the guest changes interrupt settings",
            "dirty logging: live migration or a snapshot write-protects all memory",
        ),
        cures=(
            "which of both: the kernel's events kvm_guest_fault and kvm_mmio",
            "memory: huge pages (hugetlbfs or THP), preallocation; look at swap and KSM",
            "MMIO: virtio or VFIO in place of emulated devices, fewer kicks; GICv3 for GICv2",
        ),
    ),
    "IABT_LOW": Advice(
        causes=(
            "first execution of a page: the guest starts, or maps programs and libraries",
            "the host took pages away: swap, KSM, page migration",
        ),
        cures=(
            "at start it ends by itself; huge pages and preallocation make it short",
            "steady: look at swap (vmstat si so), KSM, numa_balancing on the host",
        ),
    ),
    "SYS64": Advice(
        causes=(
            "ICC_SGI1R_EL1: the guest sends an IPI (wake-ups, TLB shootdowns in software)",
            "timer registers, where KVM traps them (no VHE, or a nested hypervisor)",
            "performance counters (PMU), debug and ID registers: perf or agents in the guest",
        ),
        cures=(
            "fewer wake-ups between vCPUs: pin the guest's threads, give it fewer vCPUs",
            "GICv4.1 delivers IPIs without exits; no perf in the guest",
            "the kernel's event kvm_sys_access names the register",
        ),
    ),
    "IRQ": Advice(
        causes=(
            "the guest's own timer ran out: its interrupt arrives at the host first",
            "the host's timer tick, its devices, its IPIs, on CPUs that run guests",
        ),
        cures=(
            "fewer timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250",
            "keep interrupts away: /proc/irq/*/smp_affinity, isolcpus, nohz_full",
            "GICv4 injects interrupts of passed-through devices without exits",
        ),
    ),
    "HVC64": Advice(
        causes=(
            "PSCI: vCPUs switched on and off, or suspended for idle (CPU_SUSPEND)",
            "SMCCC services: stolen time, true random numbers, PTP clock, mitigations",
        ),
        cures=(
            "many: the guest idles through PSCI: WFI is cheaper (cpuidle.off=1)",
            "the kernel's event kvm_hvc_arm64 has the function's number",
        ),
    ),
    "SMC64": Advice(
        causes=("the guest calls firmware: PSCI with method smc, or a mitigation's SMCCC call",),
        cures=(
            "method hvc for PSCI in the device tree or ACPI; many: a mitigation in a hot path",
            "no in-kernel answer: a VMM's SMCCC filter may hand it to user space, which is dear",
        ),
    ),
    "FP_ASIMD": Advice(
        causes=("first use of floating point or SIMD since the vCPU was loaded",),
        cures=("nothing: each time a vCPU is scheduled costs one at most",),
    ),
    "SVE": Advice(
        causes=("first use of SVE since the vCPU was loaded; or a guest that must not have it",),
        cures=("nothing: each time a vCPU is scheduled costs one at most",),
    ),
    "SERROR": Advice(
        causes=("the hardware reported an asynchronous error: memory, bus or a device (RAS)",),
        cures=("the host's kernel log and rasdaemon; it is not the guest's doing, as a rule",),
    ),
    "UNKNOWN": Advice(
        causes=("the guest executed an instruction that its CPU does not have or KVM hides",),
        cures=("the kernel gives it an undefined exception: look into the guest's log",),
    ),
}
