"""For each rule a VM that it is about, and one that is nearly so: the sample and the near miss."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kstats.model import Sample
from kstats.why.evidence import Evidence
from tests.why.made import SECONDS, VM, guest, read, write

DEADLINE, ICR, TIME_REF_COUNT, PERFCTR0, APERF = 0x6E0, 0x830, 0x40000020, 0xC1, 0xE8
EOI, FIXED_CTR0, PMEVCNTR0 = 0x80B, 0x309, 0xDF40
SGI1R, CNTP_CTL, PMCCNTR, MIDR = 0xC65D, 0xDF11, 0xDCE8, 0xC000
SEND_IPI, KICK_CPU, CPU_SUSPEND, TRNG = 0xA, 0x5, 0xC4000001, 0xC4000053
MMIO, FAST_MMIO, WFI = "kvm_mmio:0=1,2", "kvm_fast_mmio", "kvm_wfx_arm64:1=0"
BUSY = {"guest": 0.97, "kernel": 0.02, "vmm": 0.01, "halted": 0.0, "waiting": 0.0}


def msr(reason: str, number: int, rate: float, isa: str = "vmx") -> Sample:
    """A VM that accesses one MSR."""
    access = read if reason in {"MSR_READ", "msr:rd"} else write
    return guest(isa, kind="msr", details={reason: {access(number): rate}})


def sysreg(number: int, rate: float) -> Sample:
    """A VM that writes one system register."""
    return guest("arm64", kind="sysreg", details={"SYS64": {write(number): rate}})


def calls(isa: str, reason: str, number: int, rate: float) -> Sample:
    """A VM that makes one hypercall."""
    return guest(isa, kind="hypercall", details={reason: {number: rate}})


def port(detail: int, rate: float) -> Sample:
    """A VM that accesses one I/O port."""
    return guest("svm", kind="io", details={"io": {detail: rate}})


def busy(**states: float) -> dict[str, float]:
    """The time of a busy vCPU, with other shares of these states."""
    return {**BUSY, **states, "guest": 0.97 - sum(states.values())}


def facts(
    sample: Sample,
    host: Mapping[str, str | int] | None = None,
    vm: Mapping[str, str | int] | None = None,
    counters: Mapping[str, int] | None = None,
    scheduling: Mapping[str, int] | None = None,
) -> Sample:
    """The sample with facts; counters and scheduling are of ten seconds."""
    ns = round(SECONDS * 1e9)
    return attrs.evolve(
        sample,
        host_facts=host or {},
        vm_facts={VM.pid: vm} if vm else {},
        host_counters={"observed": ns, "cpu": 2 * ns, **counters} if counters else {},
        scheduling={n: {"observed": ns, **scheduling} for n in sample.threads}
        if scheduling
        else None,
    )


def on_a_healthy_host(sample: Sample) -> Sample:
    """The sample with the facts of a host with defaults and memory to spare."""
    return facts(
        sample,
        {
            "parameters.kvm.halt_poll_ns": "200000",
            "parameters.kvm_intel.ple_gap": "128",
            "parameters.kvm_intel.ept": "Y",
            "parameters.kvm_amd.npt": "1",
            "thp": "madvise",
            "smt": 1,
            "clocksource": "tsc",
            "numa_balancing": 1,
            "ksm": 0,
        },
        {"resident": 4 * GIB, "huge": 4 * GIB, "swapped": 0, "vhost": 1, "migrating": 0},
        {"idle": 900 * MEBI_NS, "steal": 0, "memory_pressure": 0, "numa_faults": 300},
        {"ran": 900 * MEBI_NS, "delayed": 20 * MEBI_NS, "major_faults": 0, "throttled": 0},
    )


def later(before: Sample, now: Sample) -> Evidence:
    """The evidence of a sample that is compared with an earlier one."""
    rates = Evidence.of(before).host.rates
    return Evidence.of(now).beside({"": rates, VM.name: rates})


GIB = 1 << 30
MEBI_NS = 1_000_000
NO_DEVICES = {MMIO: 0.0, FAST_MMIO: 0.0}
FAULTING = guest("svm", {"npf": 3000}, events=NO_DEVICES)
IN_GUEST = guest("svm", {"hlt": 10}, time=BUSY)
CALM = guest("svm", {"hlt": 10})
FOUR_CPUS = (0, 1, 2, 3)

CASES: Mapping[str, tuple[tuple[Sample | Evidence, ...], tuple[Sample | Evidence, ...]]] = {
    "cpu-quota": (
        (facts(CALM, scheduling={"throttled": 900 * MEBI_NS}),),
        (facts(CALM, scheduling={"throttled": 50 * MEBI_NS}),),
    ),
    "host-steal": (
        (facts(CALM, counters={"steal": 2000 * MEBI_NS}),),
        (facts(CALM, counters={"steal": 200 * MEBI_NS}), facts(CALM, counters={"idle": 1})),
    ),
    "memory-pressure": (
        (facts(CALM, counters={"memory_pressure": 2000 * MEBI_NS}),),
        (facts(CALM, counters={"memory_pressure": 100 * MEBI_NS}),),
    ),
    "interrupts-on-few-cpus": (
        (
            guest("svm", {"interrupt": 12_000}, cpus=FOUR_CPUS, on={0: 97, 1: 1, 2: 1, 3: 1}),
            guest("arm64", {"IRQ": 12_000}, cpus=FOUR_CPUS, on={0: 97, 1: 1, 2: 1, 3: 1}),
        ),
        (
            guest("svm", {"interrupt": 12_000}, cpus=FOUR_CPUS),
            guest("svm", {"interrupt": 900}, cpus=FOUR_CPUS, on={0: 97, 1: 1, 2: 1, 3: 1}),
            guest("svm", {"hlt": 12_000}, cpus=FOUR_CPUS, on={0: 97, 1: 1, 2: 1, 3: 1}),
        ),
    ),
    "halt-polling-burns": (
        (
            guest("svm", {"hlt": 4000}, counters={"halt_poll_fail_ns": 5000 * MEBI_NS}),
            guest("arm64", {"WFx": 4000}, counters={"halt_poll_fail_ns": 1600 * MEBI_NS}),
        ),
        (
            guest("svm", {"hlt": 4000}, counters={"halt_poll_fail_ns": 100 * MEBI_NS}),
            guest("svm", {"hlt": 4000}, counters={"halt_poll_success_ns": 5000 * MEBI_NS}),
        ),
    ),
    "cache-flushes-at-entries": (
        (guest("vmx", {"HLT": 10}, counters={"l1d_flush": 100_000}),),
        (guest("vmx", {"HLT": 10}, counters={"l1d_flush": 20_000}),),
    ),
    "huge-page-splits": (
        (guest("vmx", {"HLT": 10}, counters={"nx_lpage_splits": 100}),),
        (guest("vmx", {"HLT": 10}, counters={"nx_lpage_splits": 2}),),
    ),
    "vmm-kicks": (
        (guest("svm", {"hlt": 10}, counters={"signal_exits": 20_000}),),
        (guest("svm", {"hlt": 10}, counters={"signal_exits": 2000}),),
    ),
    "emulation-failures": (
        (guest("svm", {"hlt": 10}, counters={"insn_emulation_fail": 1}),),
        (guest("svm", {"hlt": 10}, counters={"insn_emulation_fail": 0, "insn_emulation": 9}),),
    ),
    "halt-polling-missing": (
        (facts(guest("svm", {"hlt": 6000}), {"parameters.kvm.halt_poll_ns": "0"}),),
        (
            facts(guest("svm", {"hlt": 6000}), {"parameters.kvm.halt_poll_ns": "200000"}),
            facts(guest("svm", {"hlt": 2000}), {"parameters.kvm.halt_poll_ns": "0"}),
        ),
    ),
    "pause-exiting-off": (
        (
            facts(
                guest("vmx", {"HLT": 10}, time=busy(waiting=0.2)),
                {"parameters.kvm_intel.ple_gap": "0"},
            ),
        ),
        (
            facts(
                guest("vmx", {"HLT": 10}, time=busy(waiting=0.2)),
                {"parameters.kvm_intel.ple_gap": "128"},
            ),
            facts(guest("vmx", {"HLT": 10}, time=BUSY), {"parameters.kvm_intel.ple_gap": "0"}),
            facts(
                guest("svm", {"hlt": 10}, time=busy(waiting=0.2)),
                {"parameters.kvm_amd.pause_filter_count": "3000"},
            ),
        ),
    ),
    "migration": (
        (facts(FAULTING, vm={"migrating": 1}),),
        (facts(FAULTING, vm={"migrating": 0}), facts(CALM, vm={"migrating": 1})),
    ),
    "numa-balancing": (
        (facts(FAULTING, {"numa_balancing": 1}, counters={"numa_faults": 20_000}),),
        (
            facts(FAULTING, {"numa_balancing": 1}, counters={"numa_faults": 200}),
            facts(FAULTING, {"numa_balancing": 0}, counters={"numa_faults": 20_000}),
            facts(CALM, {"numa_balancing": 1}, counters={"numa_faults": 20_000}),
        ),
    ),
    "swapping": (
        (facts(CALM, scheduling={"major_faults": 500}),),
        (facts(CALM, scheduling={"major_faults": 5, "minor_faults": 5000}),),
    ),
    "small-pages": (
        (
            facts(IN_GUEST, vm={"guest_pages.4k": 4 * GIB, "guest_pages.2m": 0}),
            facts(IN_GUEST, vm={"resident": 4 * GIB, "huge": 0}),
        ),
        (
            facts(IN_GUEST, vm={"guest_pages.4k": GIB, "guest_pages.2m": 3 * GIB}),
            facts(IN_GUEST, vm={"resident": 4 * GIB, "huge": 4 * GIB}),
            facts(IN_GUEST, vm={"resident": GIB // 8, "huge": 0, "hugetlb": 8 * GIB}),
            facts(IN_GUEST, vm={"resident": GIB // 2, "huge": 0}),
            # An idle VM does not care.
            facts(
                guest("svm", {"hlt": 10}, time={"guest": 0.01, "halted": 0.99}),
                vm={"resident": 4 * GIB, "huge": 0},
            ),
        ),
    ),
    "new-since": (
        (
            later(CALM, guest("svm", {"cpuid": 2000})),
            later(guest("svm", {"cpuid": 500}), guest("svm", {"cpuid": 2000})),
        ),
        (
            later(CALM, guest("svm", {"cpuid": 900})),
            later(guest("svm", {"cpuid": 1900}), guest("svm", {"cpuid": 3000})),
            guest("svm", {"cpuid": 2000}),
        ),
    ),
    "vcpu-starved": (
        (
            guest("vmx", time=busy(waiting=0.06)),
            guest("arm64", time=busy(waiting=0.3)),
            facts(CALM, scheduling={"delayed": 900 * MEBI_NS}),
        ),
        (guest("vmx", time=busy(waiting=0.015)), facts(CALM, scheduling={"ran": 900 * MEBI_NS})),
    ),
    "slow-vmm": (
        (guest("svm", {"io": 200}, time=busy(vmm=0.12)),),
        # A paused VM is in its VMM, and does nothing.
        (guest("svm", {"io": 1}, time=busy(vmm=0.97)), guest("svm", {"io": 200}, time=BUSY)),
    ),
    "slow-device-exits": (
        (guest("vmx", {"IO_INSTRUCTION": 5}, us=12_000),),
        (
            guest("vmx", {"IO_INSTRUCTION": 5}, us=300),
            guest("vmx", {"HLT": 5}, us=90_000),
            guest("vmx", {"IO_INSTRUCTION": 2}, us=2000),  # slow, and too rare to matter
        ),
    ),
    "timer-storm": (
        (
            msr("MSR_WRITE", DEADLINE, 6000),
            msr("msr:wr", DEADLINE, 6000, "svm"),
            msr("MSR_WRITE", 0x400000B1, 6000),
        ),
        (msr("MSR_WRITE", DEADLINE, 2000), msr("MSR_WRITE", ICR, 6000)),
    ),
    "timer-storm-expiry": (
        (guest("vmx", {"PREEMPTION_TIMER": 6000}),),
        (guest("vmx", {"PREEMPTION_TIMER": 2000}),),
    ),
    "timer-registers": ((sysreg(CNTP_CTL, 2000),), (sysreg(CNTP_CTL, 900), sysreg(MIDR, 2000))),
    "hyperv-clock": (
        (msr("MSR_READ", TIME_REF_COUNT, 3000),),
        (msr("MSR_READ", TIME_REF_COUNT, 400), msr("MSR_READ", APERF, 3000)),
    ),
    "emulated-clock": (
        (port(read(0x608, 4), 3000), port(write(0x43, 1), 700)),
        (port(read(0x608, 4), 300), port(read(0x608, 2), 3000)),
    ),
    "hpet-clock": (
        (guest("vmx", kind="mmio", details={"EPT_MISCONFIG": {read(0xFED000F0, 4): 3000}}),),
        (guest("vmx", kind="mmio", details={"EPT_MISCONFIG": {read(0xFEC00010, 4): 3000}}),),
    ),
    "ipi-storm": (
        (msr("MSR_WRITE", ICR, 6000), msr("msr:wr", ICR, 6000, "svm")),
        (msr("MSR_WRITE", ICR, 2000),),
    ),
    "ipi-storm-hypercalls": (
        (calls("vmx", "VMCALL", SEND_IPI, 6000), calls("svm", "hypercall", SEND_IPI, 6000)),
        (calls("vmx", "VMCALL", SEND_IPI, 2000), calls("vmx", "VMCALL", KICK_CPU, 6000)),
    ),
    "lock-kicks": (
        (calls("vmx", "VMCALL", KICK_CPU, 3000),),
        (calls("vmx", "VMCALL", KICK_CPU, 400), calls("vmx", "VMCALL", SEND_IPI, 3000)),
    ),
    "psci-idle": (
        (calls("arm64", "HVC64", CPU_SUSPEND, 6000), calls("arm64", "SMC64", CPU_SUSPEND, 6000)),
        (calls("arm64", "HVC64", CPU_SUSPEND, 400), calls("arm64", "HVC64", TRNG, 3000)),
    ),
    "ipi-storm-virtual-apic": (
        (guest("svm", {"avic_incomplete_ipi": 6000}), guest("vmx", {"APIC_WRITE": 6000})),
        (guest("svm", {"avic_incomplete_ipi": 2000}),),
    ),
    "ipi-storm-gic": ((sysreg(SGI1R, 6000),), (sysreg(SGI1R, 2000), sysreg(PMCCNTR, 6000))),
    "apic-emulation": (
        (guest("vmx", {"TPR_BELOW_THRESHOLD": 6000}),),
        (guest("vmx", {"TPR_BELOW_THRESHOLD": 2000}),),
    ),
    "apic-memory": (
        (guest("svm", kind="mmio", details={"npf": {write(0xFEE00300, 4): 6000}}),),
        (
            guest("svm", kind="mmio", details={"npf": {write(0xFEE00300, 4): 2000}}),
            guest("svm", kind="mmio", details={"npf": {write(0xFEC00010, 4): 6000}}),
        ),
    ),
    "eoi-exits": ((msr("MSR_WRITE", EOI, 6000),), (msr("MSR_WRITE", EOI, 2000),)),
    "interrupt-windows": (
        (guest("svm", {"vintr": 6000}),),
        (guest("svm", {"vintr": 2000}), guest("vmx", {"NMI_WINDOW": 6000})),
    ),
    "level-interrupts": (
        (guest("vmx", {"EOI_INDUCED": 2000}),),
        (guest("vmx", {"EOI_INDUCED": 500}),),
    ),
    "host-interrupts": (
        (guest("arm64", {"IRQ": 6000}), guest("vmx", {"EXTERNAL_INTERRUPT": 6000})),
        (guest("arm64", {"IRQ": 2000}),),
    ),
    "host-nmis": ((guest("svm", {"nmi": 2000}),), (guest("svm", {"nmi": 1}),)),
    "short-halts": (
        (guest("svm", {"hlt": 20_000}), guest("arm64", {"WFx": 20_000}, events={WFI: 20_000})),
        (guest("svm", {"hlt": 3000}),),
    ),
    "mwait": ((guest("vmx", {"MWAIT_INSTRUCTION": 6000}),), (guest("vmx", {"HLT": 4000}),)),
    "lock-holder-preemption": (
        (guest("vmx", {"PAUSE_INSTRUCTION": 2000}, time=busy(waiting=0.1)),),
        (
            guest("vmx", {"PAUSE_INSTRUCTION": 2000}, time=BUSY),
            guest("vmx", {"PAUSE_INSTRUCTION": 100}, time=busy(waiting=0.1)),
            guest("vmx", {"PAUSE_INSTRUCTION": 2000}),
        ),
    ),
    "spinning": (
        (guest("svm", {"pause": 6000}), guest("svm", {"pause": 6000}, time=BUSY)),
        (guest("svm", {"pause": 500}), guest("svm", {"pause": 6000}, time=busy(waiting=0.1))),
    ),
    "spinning-wfe": (
        (guest("arm64", {"WFx": 6000}, events={WFI: 1000}),),
        (guest("arm64", {"WFx": 6000}, events={WFI: 5500}), guest("arm64", {"WFx": 6000})),
    ),
    "emulated-ports": (
        (guest("svm", {"io": 4000}),),
        (guest("svm", {"io": 500}), port(read(0x608, 4), 4000)),
    ),
    "emulated-mmio": (
        (guest("arm64", {"DABT_LOW": 4000}, events={MMIO: 4000}, time=busy(vmm=0.06)),),
        (
            guest("arm64", {"DABT_LOW": 4000}, events={MMIO: 500}, time=busy(vmm=0.06)),
            guest("arm64", {"DABT_LOW": 4000}, events={MMIO: 4000}, time=busy(vmm=0.005)),
            guest("vmx", {"EPT_MISCONFIG": 4000}, events={MMIO: 0, FAST_MMIO: 4000}),
        ),
    ),
    "virtio-kicks-or-gic": (
        (guest("svm", {"npf": 9000}, events={MMIO: 9000, FAST_MMIO: 0}, time=busy(vmm=0.001)),),
        (
            guest("svm", {"npf": 4000}, events={MMIO: 4000, FAST_MMIO: 0}, time=busy(vmm=0.001)),
            guest("svm", {"npf": 9000}, events={MMIO: 9000, FAST_MMIO: 0}, time=busy(vmm=0.1)),
        ),
    ),
    "virtio-kicks": (
        (guest("vmx", {"EPT_MISCONFIG": 30_000}, events={MMIO: 0, FAST_MMIO: 30_000}),),
        (guest("vmx", {"EPT_MISCONFIG": 4000}, events={MMIO: 0, FAST_MMIO: 4000}),),
    ),
    "dirty-logging": (
        (guest("vmx", {"PML_FULL": 300}),),
        (guest("vmx", {"EPT_VIOLATION": 300}, events={MMIO: 0, FAST_MMIO: 0}),),
    ),
    "memory-faults": (
        (
            guest("vmx", {"EPT_VIOLATION": 5000}, events={MMIO: 0, FAST_MMIO: 0}),
            guest("svm", {"npf": 9000}, events={MMIO: 4000, FAST_MMIO: 0}),
        ),
        (
            guest("svm", {"npf": 9000}, events={MMIO: 8500, FAST_MMIO: 0}),
            guest("arm64", {"DABT_LOW": 500}, events={MMIO: 0}),
        ),
    ),
    "slow-memory-faults": (
        (guest("vmx", {"EPT_VIOLATION": 10}, us=20_000),),
        (guest("vmx", {"EPT_VIOLATION": 10}, us=150), guest("vmx", {"EPT_VIOLATION": 10})),
    ),
    "shadow-paging": (
        (guest("svm", {"invlpg": 1500, "write_cr3": 1500}),),
        (guest("svm", {"write_cr0": 3000}), guest("svm", {"invlpg": 100})),
    ),
    "cpuid-loop": (
        (guest("vmx", {"CPUID": 6000}), guest("svm", {"cpuid": 6000})),
        (guest("svm", {"cpuid": 2000}),),
    ),
    "rdtsc-trapped": ((guest("vmx", {"RDTSC": 6000}),), (guest("vmx", {"RDTSC": 100}),)),
    "pmu": (
        (
            msr("MSR_WRITE", PERFCTR0, 6000),
            msr("MSR_READ", FIXED_CTR0, 6000),
            msr("msr:rd", 0xC0010004, 6000, "svm"),
        ),
        (msr("MSR_WRITE", PERFCTR0, 500), msr("MSR_READ", APERF, 4000)),
    ),
    "pmu-registers": (
        (sysreg(PMCCNTR, 6000), sysreg(PMEVCNTR0, 6000)),
        (sysreg(PMCCNTR, 500), sysreg(SGI1R, 4000)),
    ),
    "rdpmc": ((guest("vmx", {"RDPMC": 6000}),), (guest("vmx", {"RDPMC": 500}),)),
    "msr-polling": (
        (msr("MSR_READ", APERF, 12_000), guest("svm", {"msr:wr": 12_000})),
        (msr("MSR_READ", APERF, 4000), msr("MSR_WRITE", DEADLINE, 12_000)),
    ),
    "system-registers": ((sysreg(MIDR, 12_000),), (sysreg(MIDR, 4000), sysreg(SGI1R, 12_000))),
    "hypercalls": (
        (guest("vmx", {"VMCALL": 20_000}), guest("arm64", {"HVC64": 20_000})),
        (guest("vmx", {"VMCALL": 4000}),),
    ),
    "nested-hypervisor": (
        (guest("vmx", {"VMRESUME": 3000, "VMREAD": 3000}), guest("svm", {"vmrun": 6000})),
        (guest("vmx", {"VMREAD": 500}),),
    ),
    "cache-flushes": ((guest("svm", {"wbinvd": 30}),), (guest("svm", {"wbinvd": 0.5}),)),
    "bus-locks": ((guest("vmx", {"BUS_LOCK": 30}),), (guest("vmx", {"BUS_LOCK": 0.5}),)),
    "exceptions": (
        (guest("svm", {"UD excp": 6000}), guest("vmx", {"EXCEPTION_NMI": 6000})),
        (guest("svm", {"UD excp": 500}), guest("svm", {"AC excp": 6000})),
    ),
    "failed-entries": (
        (guest("vmx", {"0x80000021": 1}), guest("svm", {"invalid_guest_state": 1})),
        (guest("vmx", {"CPUID": 1}),),
    ),
    "guest-resets": (
        (guest("vmx", {"TRIPLE_FAULT": 0.2}),),
        (guest("vmx", {"EXCEPTION_NMI": 0.2}),),
    ),
    "hardware-errors": ((guest("arm64", {"SERROR": 1}),), (guest("arm64", {"IRQ": 1}),)),
    "exit-overhead": (
        (guest("vmx", {"CPUID": 900}, time=busy(kernel=0.3)),),
        (
            guest("vmx", {"CPUID": 900}, time=busy(kernel=0.05)),
            guest("vmx", {"CPUID": 9000}, time=busy(kernel=0.3)),
            guest("vmx", {"HLT": 900}, time=busy(kernel=0.3)),
        ),
    ),
}
