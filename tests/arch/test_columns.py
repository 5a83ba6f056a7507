"""The headings are those of Fuchsia's ``kstats -v``, in its order; ``other`` is last."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kstats import arch
from kstats.arch import lookup

HEADINGS = {
    "arm64": "inst_abt data_abt wfx_inst sys_inst smc_inst ints other",
    "x64": "ints ints_win ept ctrl_reg msr(rd wr) inst(io hlt cpuid ple vmcall xsetbv) other",
}

# Codes under each column: APM and SDM appendices C, Arm ARM ESR_EL2.EC.
NUMBERS = {
    "vmx": {
        "ints": {1},
        "ints_win": {7},
        "ept": {48},
        "ctrl_reg": {28},
        "msr_rd": {31, 84},
        "msr_wr": {32, 85},
        "inst_io": {30},
        "inst_hlt": {12},
        "inst_cpuid": {10},
        "inst_ple": {40},
        "inst_vmcall": {18},
        "inst_xsetbv": {55},
    },
    "svm": {
        "ints": {0x60},
        "ints_win": {0x64},
        "ept": {0x400},
        "msr_rd": {1 << 32 | 0x7C},
        "msr_wr": {2 << 32 | 0x7C},
        "inst_io": {0x7B},
        "inst_hlt": {0x78, 0xA6},
        "inst_cpuid": {0x72},
        "inst_ple": {0x77},
        "inst_vmcall": {0x81},
        "inst_xsetbv": {0x8D},
    },
    "arm64": {
        "inst_abt": {0x20},
        "data_abt": {0x24},
        "wfx_inst": {0x01},
        "sys_inst": {0x18, 0x03, 0x04, 0x05, 0x06, 0x0C},
        "smc_inst": {0x17, 0x13},
        "ints": {1 << 32},
    },
}


@pytest.mark.parametrize("name", HEADINGS)
def test_headings(name: str) -> None:
    """In Fuchsia's order; columns that only kstats has may come anywhere before ``other``."""
    fuchsia = list(_headings(HEADINGS[name]))
    ours = [lookup.shown(column) for column in arch.columns(name)]
    assert [heading for heading in ours if heading in fuchsia] == fuchsia
    assert ours[-1] == "other"


def _headings(line: str) -> Iterator[str]:
    """Yield the headings of a line, each group(a b) as group(a), group(b)."""
    for group, labels, alone in re.findall(r"(\w+)\(([^)]*)\)|(\w+)", line):
        yield from (f"{group}({label})" for label in labels.split()) if group else (alone,)


def test_columns_of_an_architecture_and_of_its_name_are_the_same() -> None:
    assert arch.columns(arch.find("x64")) is arch.columns("x64")


@pytest.mark.parametrize(("isa", "column"), [(i, c) for i in NUMBERS for c in NUMBERS[i]])
def test_codes_under_each_column(isa: str, column: str) -> None:
    """Newer codes may join a column: docs/reasons.md shows them in review."""
    found = {code for code, reason in arch.isa(isa).reasons.items() if reason.column == column}
    assert found >= NUMBERS[isa][column]


def test_control_registers_of_svm_are_one_column() -> None:
    svm = arch.isa("svm").reasons
    control = {code for code, reason in svm.items() if reason.column == "ctrl_reg"}
    assert control == {c for c in svm if c < 0x20 or 0x90 <= c < 0xA0} | {0x65}


def test_the_codes_under_a_column_have_one_category() -> None:
    """A code in the wrong column would most likely have another category."""
    for one in arch.BUILT_IN:
        reasons = [reason for isa in one.isas for reason in isa.reasons.values()]
        for column in arch.column_keys(one)[:-1]:
            assert len({r.category for r in reasons if r.column == column}) == 1, column


def test_column_keys_are_those_of_the_columns() -> None:
    for one in arch.BUILT_IN:
        assert arch.column_keys(one) == tuple(column.key for column in one.columns)
        assert arch.column_keys(one.name) == arch.column_keys(one)


def test_slots_cover_every_code_with_a_column() -> None:
    """Frequent exits are counted without a lookup."""
    for one in arch.BUILT_IN:
        for source in one.sources:
            for code, reason in arch.isa(source.isa).reasons.items():
                covered = any(s.first <= code < s.first + s.length for s in source.slots)
                assert covered or reason.column == "other", reason.name
