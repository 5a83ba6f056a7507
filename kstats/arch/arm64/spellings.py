"""How other tools spell the names of ARM64 exits.

kvm_stat and bcc's kvmexit use the names of an older asm/kvm_arm.h (ESR_EL2_EC_*). The names of
instructions are those in the Arm ARM's table of exception classes (ESR_EL2.EC).
"""

from __future__ import annotations

from kstats.arch.base import Spellings

ARM64 = Spellings(
    prefixes=("ESR_ELX_EC_", "ESR_EL2_EC_", "ARM_EXCEPTION_", "EC_"),
    aliases={
        "WFI": "WFx",
        "WFE": "WFx",
        "HVC": "HVC64",
        "WFIT": "WFx",
        "WFET": "WFx",
        "WF*": "WFx",
        "SMC": "SMC64",
        "BRK": "BRK64",
        "LS64": "OTHER",
        "LD64B": "OTHER",
        "ST64B": "OTHER",
        "SYS128": "SYSREG128",
        "MRS": "SYS64",
        "DATA_ABORT": "DABT_LOW",
        "INSTRUCTION_ABORT": "IABT_LOW",
        "ILL_ISS": "ILL",
        "EL1_SERROR": "SERROR",
        "IABT": "IABT_LOW",
        "IABT_HYP": "IABT_CUR",
        "DABT": "DABT_LOW",
        "DABT_HYP": "DABT_CUR",
        "BREAKPT": "BREAKPT_LOW",
        "BREAKPT_HYP": "BREAKPT_CUR",
        "SOFTSTP": "SOFTSTP_LOW",
        "SOFTSTP_HYP": "SOFTSTP_CUR",
        "WATCHPT": "WATCHPT_LOW",
        "WATCHPT_HYP": "WATCHPT_CUR",
    },
    # tools/perf/arch/arm64/util/kvm-stat.c: it begins at kvm_entry and ends at kvm_exit.
    times={"perf-kvm": "on ARM64, perf measures the time in the guest before the exit"},
    doubtful={"kvm_stat": {"UNKNOWN": "kvm_stat also counts interrupts (IRQ) under it"}},
)
