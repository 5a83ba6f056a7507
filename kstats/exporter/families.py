"""Every metric that kstats exports. docs/exporter.md explains them."""

from __future__ import annotations

from kstats.exporter.exposition import Family

_NS = 10**9

CPU_ENTRIES = Family("kvm_cpu_entries_total", "counter", "VM entries on a physical CPU", ("cpu",))
CPU_EXITS = Family(
    "kvm_cpu_exits_total",
    "counter",
    "VM exits on a physical CPU, by the column of kstats cpu",
    ("cpu", "class"),
)
VM_EXITS = Family("kvm_vm_exits_total", "counter", "VM exits of a VM", ("vm", "reason", "category"))
VCPU_EXITS = Family(
    "kvm_vcpu_exits_total", "counter", "VM exits of a vCPU", ("vm", "vcpu", "reason", "category")
)
VCPU_TIME = Family(
    "kvm_vcpu_time_seconds_total",
    "counter",
    "Where the time of a vCPU goes: guest, kernel, vmm, halted, waiting for a CPU",
    ("vm", "vcpu", "state"),
    _NS,
)


def _durations(*labels: str) -> Family:
    text = "Time from a VM exit to the next entry"
    return Family("kvm_vm_exit_duration_seconds", "histogram", text, labels)


DURATIONS = {
    "category": _durations("vm", "category"),
    "reason": _durations("vm", "reason", "category"),
}
VM_DETAILS = Family(
    "kvm_vm_exit_details_total",
    "counter",
    "VM exits of a VM by what they access; (others) has those without a series of their own",
    ("vm", "kind", "detail"),
)
VM_EVENTS = Family(
    "kvm_vm_kernel_events_total", "counter", "KVM's own counters of a VM", ("vm", "event")
)
VM_KERNEL_TIME = Family(
    "kvm_vm_kernel_time_seconds_total", "counter", "KVM's own times of a VM", ("vm", "what"), _NS
)
VCPU_EVENTS = Family(
    "kvm_vcpu_kernel_events_total",
    "counter",
    "KVM's own counters of a vCPU",
    ("vm", "vcpu", "event"),
)
VCPU_KERNEL_TIME = Family(
    "kvm_vcpu_kernel_time_seconds_total",
    "counter",
    "KVM's own times of a vCPU",
    ("vm", "vcpu", "what"),
    _NS,
)
VM_INFO = Family(
    "kvm_vm_info",
    "gauge",
    "A running VM: always 1",
    ("vm", "uuid", "vmm", "pid", "vmid", "pod", "namespace"),
)
VM_VCPUS = Family("kvm_vm_vcpus", "gauge", "vCPUs of a running VM that have run", ("vm",))

BUILD_INFO = Family(
    "kstats_build_info",
    "gauge",
    "The version of kstats, and how it counts on this host: always 1",
    ("version", "arch", "isa", "probe", "loader", "kernel"),
)
UP = Family("kstats_up", "gauge", "Whether kstats counts; 0 on a host without KVM")
LOSSES = Family(
    "kstats_losses_total",
    "counter",
    "Exits and events that were not counted completely, by kind (docs/glossary.md)",
    ("kind",),
)
VMS = Family("kstats_vms", "gauge", "Running VMs")
VMS_FOLDED = Family(
    "kstats_vms_folded", "gauge", "Running VMs beyond --max-vms: their series are those of (others)"
)
NAMESAKES = Family(
    "kstats_vm_name_collisions",
    "gauge",
    "Running VMs that have the name of another one: their counts are added up",
)
MAP_SIZE = Family("kstats_map_entries", "gauge", "Size of a BPF map in entries", ("map",))
MAP_USED = Family(
    "kstats_map_used_entries",
    "gauge",
    "Used entries of a BPF map, read at most once a minute; for per-CPU tables, of the fullest",
    ("map",),
)
SAMPLES = Family("kstats_samples_total", "counter", "Samples taken")
SAMPLE_FAILURES = Family(
    "kstats_sample_failures_total", "counter", "Samples that could not be taken; the log says why"
)
SAMPLE_DURATION = Family(
    "kstats_sample_duration_seconds", "gauge", "How long taking the last sample took", (), _NS
)
LAST_SAMPLE = Family(
    "kstats_last_sample_timestamp_seconds", "gauge", "End of the last sample, Unix time"
)
SERIES = Family("kstats_series", "gauge", "Lines of VMs and CPUs on this page")
PROCESS_CPU = Family(
    "process_cpu_seconds_total", "counter", "User and system CPU time spent in seconds", (), _NS
)
PROCESS_START = Family(
    "process_start_time_seconds", "gauge", "Start of the process since the Unix epoch in seconds"
)
PROCESS_RESIDENT = Family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes")
PROCESS_VIRTUAL = Family("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes")
PROCESS_FDS = Family("process_open_fds", "gauge", "Number of open file descriptors")
PROCESS_MAX_FDS = Family("process_max_fds", "gauge", "Maximum number of open file descriptors")
