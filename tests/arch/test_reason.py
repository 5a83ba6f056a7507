"""Every 64-bit code has a reason that keeps its number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats import arch
from kstats.arch.base import OTHER, Category

ISAS = tuple(isa.name for one in arch.BUILT_IN for isa in one.isas)

codes = st.one_of(
    st.integers(min_value=0, max_value=(1 << 64) - 1),
    st.integers(min_value=0, max_value=0x500),
    st.builds(lambda q, n: q << 32 | n, st.integers(0, 3), st.integers(0, 0x500)),
    st.builds(lambda flags, n: flags << 16 | n, st.integers(0, 0xFFFF), st.integers(0, 90)),
)


@given(st.sampled_from(ISAS), codes)
def test_every_code_has_a_reason_with_its_number(isa: str, code: int) -> None:
    reason = arch.reason(isa, code)
    assert reason.code == code
    assert reason.name
    assert reason.column in {column.key for one in arch.arches() for column in one.columns}
    named = code in arch.isa(isa).reasons
    if not named and not code & arch.isa(isa).flag_mask:
        assert (reason.name, reason.column) == (f"{isa}:{code:#x}", OTHER)


@given(codes)
def test_a_name_identifies_the_code(code: int) -> None:
    """No two VMX codes have the same name, with any flags."""
    other = code ^ 0x1000_0000
    assert arch.reason("vmx", code).name != arch.reason("vmx", other).name


@given(st.text(max_size=8), codes)
def test_an_unknown_isa_keeps_its_name_and_number(isa: str, code: int) -> None:
    if isa not in ISAS:
        reason = arch.reason(isa, code)
        assert (reason.name, reason.column) == (f"{isa}:{code:#x}", OTHER)


@pytest.mark.parametrize(
    ("code", "name", "column", "category"),
    [
        (0x80000021, "INVALID_STATE+FAILED_VMENTRY", OTHER, Category.OTHER),
        (0x80000030, "EPT_VIOLATION+FAILED_VMENTRY", OTHER, Category.OTHER),
        (0x04000030, "EPT_VIOLATION+0x4000000", "ept", Category.MEMORY),
        (0x84000030, "EPT_VIOLATION+FAILED_VMENTRY+0x4000000", OTHER, Category.OTHER),
        (0x8000DEAD, "vmx:0x8000dead", OTHER, Category.OTHER),
        (0xFFFFFFFF, "vmx:0xffffffff", OTHER, Category.OTHER),
        (1 << 32 | 48, "vmx:0x100000030", OTHER, Category.OTHER),
    ],
)
def test_vmx_flags(code: int, name: str, column: str, category: Category) -> None:
    """A failed entry has no column or category; other flags change only the name."""
    reason = arch.reason("vmx", code)
    assert (reason.name, reason.column, reason.category) == (name, column, category)
