"""ARM64 (AArch64): one ISA."""

from __future__ import annotations

from kstats import csource
from kstats.arch.arm64 import isa, source
from kstats.arch.arm64.kvmstat import KVMSTAT
from kstats.arch.base import OTHER, Arch, Column

COLUMNS = (
    Column("inst_abt", "inst_abt", meaning="stage-2 faults of instruction fetches"),
    Column("data_abt", "data_abt", meaning="stage-2 faults of loads and stores, MMIO included"),
    Column("wfx_inst", "wfx_inst", meaning="WFI and WFE"),
    Column("sys_inst", "sys_inst", meaning="accesses to system registers"),
    Column("smc_inst", "smc_inst", meaning="SMC"),
    Column("ints", "ints", meaning="host interrupts that arrived while the guest was running"),
    Column(OTHER, OTHER, meaning="every other exit"),
)

ARM64 = Arch(
    name="arm64",
    title="ARM64",
    machines=("aarch64", "arm64"),
    isas=(isa.ARM64,),
    columns=COLUMNS,
    sources=(source.ARM64,),
    bpf=csource.File("arm64.c"),
    bpf_detail=csource.File("arm64_detail.c"),
    objects=csource.Objects(),
    kvmstat=KVMSTAT,
)
