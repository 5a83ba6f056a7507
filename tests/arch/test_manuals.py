"""Numbers, columns and categories, compared with the manuals and the kernel's headers."""

from __future__ import annotations

import re

import pytest

from kstats import arch
from kstats.arch.base import OTHER, Category, Reason

# Intel SDM vol. 3 appendix C; AMD APM vol. 2 appendix C; Arm ARM DDI 0487 ESR_EL2.EC and the
# kernel's asm/kvm_asm.h.
NUMBERS = [
    ("vmx", 0, "EXCEPTION_NMI", OTHER, Category.EXCEPTION),
    ("vmx", 1, "EXTERNAL_INTERRUPT", "ints", Category.INTERRUPT),
    ("vmx", 7, "INTERRUPT_WINDOW", "ints_win", Category.INTERRUPT),
    ("vmx", 10, "CPUID", "inst_cpuid", Category.REGISTER),
    ("vmx", 12, "HLT", "inst_hlt", Category.IDLE),
    ("vmx", 18, "VMCALL", "inst_vmcall", Category.HYPERCALL),
    ("vmx", 28, "CR_ACCESS", "ctrl_reg", Category.REGISTER),
    ("vmx", 29, "DR_ACCESS", OTHER, Category.REGISTER),
    ("vmx", 30, "IO_INSTRUCTION", "inst_io", Category.IO),
    ("vmx", 31, "MSR_READ", "msr_rd", Category.REGISTER),
    ("vmx", 32, "MSR_WRITE", "msr_wr", Category.REGISTER),
    ("vmx", 33, "INVALID_STATE", OTHER, Category.OTHER),
    ("vmx", 40, "PAUSE_INSTRUCTION", "inst_ple", Category.SPIN),
    ("vmx", 48, "EPT_VIOLATION", "ept", Category.MEMORY),
    ("vmx", 49, "EPT_MISCONFIG", OTHER, Category.MEMORY),
    ("vmx", 52, "PREEMPTION_TIMER", OTHER, Category.INTERRUPT),
    ("vmx", 55, "XSETBV", "inst_xsetbv", Category.REGISTER),
    ("vmx", 56, "APIC_WRITE", OTHER, Category.INTERRUPT),
    ("vmx", 74, "BUS_LOCK", OTHER, Category.OTHER),
    ("vmx", 76, "SEAMCALL", OTHER, Category.OTHER),
    ("vmx", 77, "TDCALL", OTHER, Category.HYPERCALL),
    ("vmx", 84, "MSR_READ_IMM", "msr_rd", Category.REGISTER),
    ("vmx", 85, "MSR_WRITE_IMM", "msr_wr", Category.REGISTER),
    ("svm", 0x00, "read_cr0", "ctrl_reg", Category.REGISTER),
    ("svm", 0x18, "write_cr8", "ctrl_reg", Category.REGISTER),
    ("svm", 0x20, "read_dr0", OTHER, Category.REGISTER),
    ("svm", 0x4E, "PF excp", OTHER, Category.EXCEPTION),
    ("svm", 0x60, "interrupt", "ints", Category.INTERRUPT),
    ("svm", 0x61, "nmi", OTHER, Category.INTERRUPT),
    ("svm", 0x64, "vintr", "ints_win", Category.INTERRUPT),
    ("svm", 0x65, "cr0_sel_write", "ctrl_reg", Category.REGISTER),
    ("svm", 0x72, "cpuid", "inst_cpuid", Category.REGISTER),
    ("svm", 0x77, "pause", "inst_ple", Category.SPIN),
    ("svm", 0x78, "hlt", "inst_hlt", Category.IDLE),
    ("svm", 0x7B, "io", "inst_io", Category.IO),
    ("svm", 0x7C, "msr", OTHER, Category.REGISTER),
    ("svm", 0x1_0000_007C, "msr:rd", "msr_rd", Category.REGISTER),
    ("svm", 0x2_0000_007C, "msr:wr", "msr_wr", Category.REGISTER),
    ("svm", 0x81, "hypercall", "inst_vmcall", Category.HYPERCALL),
    ("svm", 0x8D, "xsetbv", "inst_xsetbv", Category.REGISTER),
    ("svm", 0x90, "write_cr0_trap", "ctrl_reg", Category.REGISTER),
    ("svm", 0xA6, "idle-halt", "inst_hlt", Category.IDLE),
    ("svm", 0x400, "npf", "ept", Category.MEMORY),
    ("svm", 0x403, "vmgexit", OTHER, Category.HYPERCALL),
    ("svm", 0x80000010, "vmgexit_page_state_change", OTHER, Category.MEMORY),
    ("svm", 0xFFFFFFFF, "invalid_guest_state", OTHER, Category.OTHER),
    ("arm64", 0x01, "WFx", "wfx_inst", Category.IDLE),
    ("arm64", 0x03, "CP15_32", "sys_inst", Category.REGISTER),
    ("arm64", 0x0C, "CP14_64", "sys_inst", Category.REGISTER),
    ("arm64", 0x12, "HVC32", OTHER, Category.HYPERCALL),
    ("arm64", 0x13, "SMC32", "smc_inst", Category.HYPERCALL),
    ("arm64", 0x16, "HVC64", OTHER, Category.HYPERCALL),
    ("arm64", 0x17, "SMC64", "smc_inst", Category.HYPERCALL),
    ("arm64", 0x18, "SYS64", "sys_inst", Category.REGISTER),
    ("arm64", 0x19, "SVE", OTHER, Category.REGISTER),
    ("arm64", 0x20, "IABT_LOW", "inst_abt", Category.MEMORY),
    ("arm64", 0x24, "DABT_LOW", "data_abt", Category.MEMORY),
    ("arm64", 0x3C, "BRK64", OTHER, Category.EXCEPTION),
    ("arm64", 1 << 32, "IRQ", "ints", Category.INTERRUPT),
    ("arm64", 1 << 32 | 1, "SERROR", OTHER, Category.EXCEPTION),
    ("arm64", 1 << 32 | 3, "IL", OTHER, Category.OTHER),
    ("arm64", 1 << 32 | 0xBADCA11, "HYP_GONE", OTHER, Category.OTHER),
]


@pytest.mark.parametrize(("isa", "code", "name", "column", "category"), NUMBERS)
def test_reason(isa: str, code: int, name: str, column: str, category: Category) -> None:
    reason = arch.reason(isa, code)
    assert (reason.code, reason.name, reason.column) == (code, name, column)
    assert reason.category is category


def every_reason() -> list[Reason]:
    isas = [isa for one in arch.BUILT_IN for isa in one.isas]
    return [reason for isa in isas for reason in isa.reasons.values()]


def test_every_reason_has_a_meaning_and_a_source() -> None:
    for reason in every_reason():
        assert reason.meaning, reason.name
        assert reason.source, reason.name
        assert not reason.meaning.removesuffix("...").endswith("."), reason.name


def test_all_advice_has_a_source() -> None:
    for reason in every_reason():
        assert bool(reason.advice.causes) == bool(reason.advice.sources), reason.name


def test_arm64_sources_cite_their_exception_class() -> None:
    """The Arm ARM writes exception classes in binary."""
    for code, reason in arch.isa("arm64").reasons.items():
        cited = re.search(r"EC (0b[01]{6})$", reason.source)
        assert bool(cited) == (code < 1 << 32), reason.name
        if cited:
            assert int(cited[1], 2) == code


def test_svm_names_numbers_and_sections_agree() -> None:
    """APM vol. 2 has a section for each vector from 0 to 19, except the reserved 15."""
    for code, reason in arch.isa("svm").reasons.items():
        if register := re.match(r"(?:read|write)_([cd]r\d)", reason.name):
            assert register[1].upper() in reason.meaning
        if reason.name.endswith(" excp"):
            vector = code - 0x40
            if vector < 20:
                assert reason.source == f"APM vol. 2 15.12.{vector + (vector < 15)}"
            assert f"#{reason.name.removesuffix(' excp')}" in reason.meaning
