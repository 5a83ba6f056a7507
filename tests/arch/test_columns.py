"""The headings are those of Fuchsia's ``kstats -v``, in its order, and then ``other``."""

from __future__ import annotations

from itertools import groupby

import pytest

from kstats import arch

HEADINGS = {
    "arm64": "inst_abt data_abt wfx_inst sys_inst smc_inst ints other",
    "x64": "ints ints_win ept ctrl_reg msr(rd wr) inst(io hlt cpuid ple vmcall xsetbv) other",
}

# What counts under each column, as numbers; APM and SDM appendices C, Arm ARM ESR_EL2.EC.
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
    words = []
    for group, columns in groupby(arch.columns(name), key=lambda column: column.group):
        labels = " ".join(column.label for column in columns)
        words.append(f"{group}({labels})" if group else labels)
    assert " ".join(words) == HEADINGS[name]


def test_columns_of_a_value_and_of_its_name_are_the_same() -> None:
    assert arch.columns(arch.find("x64")) is arch.columns("x64")


@pytest.mark.parametrize("isa", NUMBERS)
def test_what_counts_under_each_column(isa: str) -> None:
    found: dict[str, set[int]] = {}
    for code, reason in arch.isa(isa).reasons.items():
        found.setdefault(reason.column, set()).add(code)
    del found["other"]
    if isa == "svm":
        control = found.pop("ctrl_reg")
        assert control == {c for c in arch.isa("svm").reasons if c < 0x20 or 0x90 <= c < 0xA0} | {
            0x65
        }
    assert found == NUMBERS[isa]


def test_slots_cover_every_code_with_a_column() -> None:
    """What people look at is counted without a look-up."""
    for one in arch.arches():
        for source in one.sources:
            for code, reason in arch.isa(source.isa).reasons.items():
                covered = any(s.first <= code < s.first + s.count for s in source.slots)
                assert covered or reason.column == "other", reason.name
