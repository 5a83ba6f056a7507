"""x86-64: two ISAs, Intel VMX and AMD SVM, and one set of columns."""

from __future__ import annotations

from kstats import csource
from kstats.arch.base import OTHER, Arch, Column
from kstats.arch.x64 import sources
from kstats.arch.x64.kvmstat import KVMSTAT
from kstats.arch.x64.svm import SVM
from kstats.arch.x64.vmx import VMX

COLUMNS = (
    Column("ints", "ints", meaning="host interrupts that arrived while the guest was running"),
    Column("ints_win", "ints_win", meaning="the guest can now accept a pending interrupt"),
    Column("ept", "ept", meaning="second-level page faults (EPT violation, nested page fault)"),
    Column("ctrl_reg", "ctrl_reg", meaning="accesses to control registers"),
    Column("msr_rd", "rd", "msr", "reads of model-specific registers"),
    Column("msr_wr", "wr", "msr", "writes of model-specific registers"),
    Column("inst_io", "io", "inst", "port I/O"),
    Column("inst_hlt", "hlt", "inst", "HLT"),
    Column("inst_cpuid", "cpuid", "inst", "CPUID"),
    Column("inst_ple", "ple", "inst", "PAUSE in a spin loop"),
    Column("inst_vmcall", "vmcall", "inst", "hypercalls (VMCALL, VMMCALL)"),
    Column("inst_xsetbv", "xsetbv", "inst", "XSETBV"),
    Column(OTHER, OTHER, meaning="every other exit"),
)

X64 = Arch(
    name="x64",
    title="x86-64 (Intel VMX, AMD SVM)",
    machines=("x86_64", "amd64"),
    isas=(VMX, SVM),
    columns=COLUMNS,
    sources=(sources.VMX, sources.SVM),
    bpf=csource.File("x64.c"),
    bpf_detail=csource.File("x64_detail.c"),
    objects=csource.Objects(),
    silent_modules={
        "kvm_pvm": "kvm_pvm runs guests without VMX or SVM and reports no exits; if the CPU has"
        " either, stop the guests, unload kvm_pvm and load kvm_intel or kvm_amd",
    },
    kvmstat=KVMSTAT,
)
