"""Advice and notes that hold for VMX and for SVM."""

from __future__ import annotations

from kstats.arch.base import Advice


def interrupt(*guest_timer: str) -> Advice:
    """Return the advice on host interrupts; ``guest_timer``: how the guest's timer causes them."""
    return Advice(
        causes=(
            *guest_timer,
            "the host's own timer tick: HZ times a second on each busy CPU",
            "host devices with interrupts on CPUs that run guests",
            "host IPIs: rescheduling, TLB flushes, a VMM that kicks its vCPUs",
        ),
        remedies=(
            FEWER_TIMERS,
            "move interrupts to other CPUs: /proc/irq/*/smp_affinity, irqbalance banned CPUs",
            "dedicate isolated CPUs to vCPUs: isolcpus, nohz_full, cpusets",
            "use posted interrupts (APICv, AVIC) for passed-through devices",
        ),
        sources=(
            "Linux arch/x86/kvm/lapic.c start_hv_timer(), start_sw_timer()",
            "Linux Documentation/timers/no_hz.rst, Documentation/core-api/irq/irq-affinity.rst",
        ),
    )


HALT = Advice(
    causes=(
        "an idle guest: one exit each time a vCPU runs out of work; harmless by itself",
        "a guest that sleeps and wakes often: short timers, vCPUs that wake each other",
    ),
    remedies=(
        "nothing to do if the host CPU is idle too",
        "to reduce wake-up latency: halt_poll_ns of the kvm module, or haltpoll in the guest",
        "on dedicated CPUs: QEMU's -overcommit cpu-pm=on keeps HLT and MWAIT in the guest",
    ),
    sources=("Linux Documentation/virt/kvm/halt-polling.rst, api.rst KVM_CAP_X86_DISABLE_EXITS",),
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
    sources=(
        "Linux virt/kvm/kvm_main.c kvm_vcpu_on_spin(); Documentation/virt/kvm/x86/cpuid.rst",
        "QEMU docs/system/i386/hyperv.rst",
    ),
)

CPUID = Advice(
    causes=(
        "a program that executes CPUID to serialize or in a hot path",
        "program starts: the dynamic loader reads CPU features several times for each",
        "benchmarks and monitoring agents that poll CPUID",
    ),
    remedies=("find the program: perf kvm --guest, or perf record in the guest",),
    sources=("glibc sysdeps/x86/dl-cacheinfo.h: CPUID leaves 2 and 4 at each program start",),
)

HYPERCALL = Advice(
    causes=(
        "paravirtual wake-ups (pv-unhalt), IPIs (pv-ipi) and TLB flushes",
        "Hyper-V enlightenments of Windows guests: IPIs, TLB flushes, spin-lock notifications",
    ),
    remedies=(
        "many wake-ups: the guest's vCPUs contend for locks; check steal time in the guest",
        "to see which hypercalls: kstats exits --detail hypercall",
    ),
    sources=(
        "Linux Documentation/virt/kvm/x86/hypercalls.rst; arch/x86/kvm/hyperv.c kvm_hv_hypercall()",
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
    sources=(
        "Linux drivers/clocksource/acpi_pm.c; arch/x86/kernel/io_delay.c",
        "QEMU docs/system/i386/hyperv.rst, docs/system/i386/microvm.rst",
    ),
)

XSETBV = Advice(
    causes=(
        "the guest sets XCR0 when it boots",
        "a steady rate comes from a nested hypervisor that switches guests",
    ),
    remedies=("none needed",),
    sources=("Linux arch/x86/kvm/x86.c kvm_load_guest_xsave_state()",),
)

FIRST_TOUCH = "first touch of memory: the guest has just started, or its balloon was deflated"
DIRTY_LOGGING = "dirty logging: live migration or a snapshot write-protects all memory"
RECLAIM = "the host reclaimed or moved pages: swap, KSM, NUMA balancing, compaction"
FEWER_TIMERS = "reduce timers in the guest: a tickless kernel (nohz=on), HZ=100 or 250"
FEWER_WAKEUPS = "reduce wake-ups between vCPUs: pin the guest's threads, use fewer vCPUs"
HYPERV_C = "Linux arch/x86/kvm/hyperv.c; QEMU docs/system/i386/hyperv.rst"
TIME_REF_COUNT = "Windows reads its clock from HV_X64_MSR_TIME_REF_COUNT, without the reference TSC"
REFERENCE_TSC = (
    "Windows: hv-time, with a constant TSC on the host and no useplatformclock in bcdedit"
)
STIMER = "Windows arms its synthetic timers: HV_X64_MSR_STIMER0_CONFIG and _COUNT (hv-stimer)"
WHICH_MSR = "to see which MSRs: kstats exits --detail msr"
NMI_CAUSE = "host NMIs: perf or the NMI watchdog samples while guests run"
FEWER_NMIS = "echo 0 > /proc/sys/kernel/nmi_watchdog; lower perf's sampling frequency on the host"
BAD_STATE = "a VMM or a nested hypervisor set register values that the processor rejects"
BAD_SMM = "a KVM bug in system-management mode, with UEFI firmware that uses it (Secure Boot)"
UPDATE_HOST = "update the host's kernel, microcode and firmware; test with QEMU's -machine smm=off"
RESET = "the guest crashed early in boot, or resets itself with a triple fault"
LOOK_AT_CONSOLE = "check the guest's console; repeated exits are a guest that fails to boot"
WBINVD = Advice(
    causes=("a guest with a passed-through device flushes caches (GPU drivers, ACPI)",),
    remedies=("use devices and an IOMMU that snoop caches: the exit remains, the flush does not",),
    sources=("Linux arch/x86/kvm/x86.c need_emulate_wbinvd()",),
)
SPLIT_LOCK = "an atomic operation across two cache lines: it stalls every host CPU"
FIX_PROGRAM = "fix the program; limit the damage with QEMU's bus-lock-ratelimit"
INJECTED_BY_VMM = "the VMM injects interrupts from user space (no in-kernel irqchip)"

SHADOW_PAGING = "{} occur with shadow paging only."

CPUID_IS_HERE = "CPUID is counted here: on other architectures it is a register read."

XAPIC_IS = (
    "A guest that uses its APIC through memory (xAPIC, not x2APIC) counts here as {}; on {}, the"
    " same accesses count under `{}`."
)

X2APIC_IS_HERE = "Intercepted writes of x2APIC registers are MSR writes and are counted here."

HALTS_UNSEEN = (
    "A guest that polls before it halts, or with HLT not intercepted, shows fewer exits than its"
    " idle periods."
)
