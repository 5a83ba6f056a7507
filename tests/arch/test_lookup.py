"""A reason is found by whatever number or spelling somebody has in hand."""

from __future__ import annotations

import pytest

from kstats.arch import lookup
from kstats.arch.spelling import code_of
from kstats.errors import UnknownNameError


def found(text: str, isa: str | None = None) -> list[tuple[str, int]]:
    """ISA and code of everything that ``text`` means."""
    wanted = None if isa is None else lookup.isas(isa)
    return [(isa_.name, reason.code) for isa_, reason in lookup.find(text, wanted)]


@pytest.mark.parametrize(
    ("text", "isa", "code"),
    [
        # Codes: Intel SDM vol. 3 appendix C, AMD APM vol. 2 appendix C, Arm ARM ESR_EL2.EC.
        ("EPT_VIOLATION", "vmx", 48),
        ("ept_violation", "vmx", 48),
        ("EXIT_REASON_EPT_VIOLATION", "vmx", 48),
        ("vmx:48", "vmx", 48),
        ("VMX:0x30", "vmx", 48),
        ("vmx:0x80000030", "vmx", 0x8000_0030),
        ("PENDING_INTERRUPT", "vmx", 7),
        ("npf", "svm", 0x400),
        ("SVM_EXIT_NPF", "svm", 0x400),
        ("EXIT_IOIO", "svm", 0x7B),
        ("vmmcall", "svm", 0x81),
        ("INTR", "svm", 0x60),
        ("TR_READ", "svm", 0x69),
        ("UD excp", "svm", 0x46),
        ("excp_ud", "svm", 0x46),
        ("idle-halt", "svm", 0xA6),
        ("msr:rd", "svm", 1 << 32 | 0x7C),
        ("svm:msr:wr", "svm", 2 << 32 | 0x7C),
        ("4294967420", "svm", 1 << 32 | 0x7C),
        ("SVM_EXIT_ERR", "svm", 0xFFFF_FFFF),
        ("dabt", "arm64", 0x24),
        ("WFI", "arm64", 1),
        ("ESR_ELx_EC_HVC64", "arm64", 0x16),
        ("irq", "arm64", 1 << 32),
    ],
)
def test_one_reason(text: str, isa: str, code: int) -> None:
    assert found(text) == [(isa, code)]


def test_what_is_ambiguous_lists_all() -> None:
    assert found("48") == [("vmx", 48), ("svm", 48), ("arm64", 48)]
    assert found("0x30") == found("48")
    assert found("hlt") == [("vmx", 12), ("svm", 0x78)]
    assert found("124", "svm") == [("svm", 0x7C), ("svm", 1 << 32 | 0x7C), ("svm", 2 << 32 | 0x7C)]


def test_an_isa_or_an_architecture_narrows_it() -> None:
    assert found("48", "vmx") == [("vmx", 48)]
    assert found("48", "x64") == [("vmx", 48), ("svm", 48)]
    with pytest.raises(UnknownNameError):
        lookup.isas("z80")


@pytest.mark.parametrize(("text", "isa"), [("vmx:0x99", None), ("0x99", "vmx"), ("153", "vmx")])
def test_an_unknown_code_of_a_known_isa_keeps_its_number(text: str, isa: str | None) -> None:
    assert found(text, isa) == [("vmx", 0x99)]


@pytest.mark.parametrize(
    ("text", "close"),
    [
        ("EPT_VIOLATON", ["EPT_VIOLATION"]),
        ("vmx:HALT", ["HLT"]),
        ("vmx:apic", ["APIC_ACCESS", "APIC_WRITE"]),
        ("999999", []),
        ("18446744073709551616", []),
        ("vmx:-1", []),
        ("", []),
        ("\u0664\u0668", []),
    ],
)
def test_what_nothing_is_called(text: str, close: list[str]) -> None:
    with pytest.raises(lookup.UnknownReasonError) as caught:
        lookup.find(text)
    assert [name for name in caught.value.close if name in close] == close
    assert bool(caught.value.close) == bool(close)


def test_every_name_is_found_by_itself_and_no_spelling_hides_one() -> None:
    for isa in lookup.isas():
        for code, reason in isa.reasons.items():
            assert code_of(isa, reason.name) == code, reason.name
            assert code_of(isa, reason.name.swapcase()) == code, reason.name
