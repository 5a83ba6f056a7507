"""Reasons are found by number and by name in any tool's spelling."""

from __future__ import annotations

import pytest

from kstats import arch as arches
from kstats.arch import lookup
from kstats.arch.base import Category
from kstats.arch.spelling import code_of
from kstats.errors import UnknownNameError


def found(text: str, isa: str | None = None) -> list[tuple[str, int]]:
    """Return (ISA, code) of every reason that ``text`` can mean."""
    wanted = None if isa is None else lookup.isas(isa)
    return [(isa_.name, reason.code) for isa_, reason in lookup.find(text, wanted)]


# Codes: Intel SDM vol. 3 appendix C, AMD APM vol. 2 appendix C, Arm ARM ESR_EL2.EC.
SPELLINGS = [
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
    ("VMEXIT_INTR", "svm", 0x60),
    ("VMEXIT_CR4_WRITE", "svm", 0x14),
    ("VMEXIT_DR7_READ", "svm", 0x27),
    ("VMEXIT_EXCP14", "svm", 0x4E),
    ("VMEXIT_AVIC_NOACCEL", "svm", 0x402),
    ("VMEXIT_INVALID", "svm", 0xFFFF_FFFF),
    ("I/O instruction", "vmx", 30),
    ("EPT misconfiguration", "vmx", 49),
    ("VMX-preemption timer expired", "vmx", 52),
    ("Access to GDTR or IDTR", "vmx", 46),
    ("mov dr", "vmx", 29),
    ("hvc", "arm64", 0x16),
    ("mrs", "arm64", 0x18),
    ("wfe", "arm64", 1),
    ("Data Abort", "arm64", 0x24),
]


@pytest.mark.parametrize(("text", "isa", "code"), SPELLINGS)
def test_a_spelling_means_one_reason(text: str, isa: str, code: int) -> None:
    """Of the ISAs in the table: others may have reasons of the same name."""
    isas = {isa for _, isa, _ in SPELLINGS}
    assert [one for one in found(text) if one[0] in isas] == [(isa, code)]


def test_a_number_means_this_code_of_every_isa() -> None:
    having = [(isa.name, 48) for isa in lookup.isas() if 48 in isa.reasons]
    assert found("48") == found("0x30") == having
    assert {("vmx", 48), ("svm", 48), ("arm64", 48)} <= set(having)


def test_an_ambiguous_name_lists_all_reasons() -> None:
    assert found("rdmsr", "x64") == [("vmx", 31), ("svm", 1 << 32 | 0x7C)]
    assert found("WRMSR", "x64") == [("vmx", 32), ("svm", 2 << 32 | 0x7C)]
    assert found("pause", "x64") == [("vmx", 40), ("svm", 0x77)]
    assert found("hlt", "x64") == [("vmx", 12), ("svm", 0x78)]
    assert found("124", "svm") == [("svm", 0x7C), ("svm", 1 << 32 | 0x7C), ("svm", 2 << 32 | 0x7C)]


def test_a_name_without_its_qualifier_means_every_qualified_reason() -> None:
    every = [("svm", 0x7C), ("svm", 1 << 32 | 0x7C), ("svm", 2 << 32 | 0x7C)]
    assert found("msr", "svm") == found("svm:msr") == found("SVM_EXIT_MSR") == every
    assert found("UNKNOWN", "arm64") == [("arm64", 0)]  # and not IRQ, which has the number 0, too


def meant(text: str, isa: str | None = None) -> set[tuple[str, int]]:
    wanted = None if isa is None else lookup.isas(isa)
    return {(isa_.name, reason.code) for isa_, reason in lookup.meant(text, wanted)}


def test_a_text_that_names_no_reason_may_name_a_column_or_a_category() -> None:
    assert meant("io", "x64") == {("vmx", 30), ("svm", 0x7B)}
    assert meant("io", "vmx") == meant("INST(io)", "vmx") == meant("vmx:io") == {("vmx", 30)}
    vmx = lookup.isas("vmx")[0].reasons.values()
    columns = {("vmx", r.code) for r in vmx if r.column in {"msr_rd", "msr_wr"}}
    assert meant("msr", "vmx") == columns >= {("vmx", code) for code in (31, 32, 84, 85)}
    assert ("svm", 0x400) in meant("memory", "svm")
    assert ("arm64", 0x24) in meant("memory")
    for isa, text in (("arm64", "io"), ("arm64", "msr"), ("vmx", "npf"), ("vmx", "svm:npf")):
        with pytest.raises(lookup.UnknownReasonError):
            meant(text, isa)


def test_an_isa_or_an_architecture_limits_the_search() -> None:
    assert found("48", "vmx") == [("vmx", 48)]
    assert found("48", "x64") == [("vmx", 48), ("svm", 48)]
    with pytest.raises(UnknownNameError, match=r"unknown ISA 'z80'") as caught:
        lookup.isas("z80")
    names = [isa.name for isa in lookup.isas()] + [arch.name for arch in arches.arches()]
    assert caught.value.hint == f"known: {', '.join(dict.fromkeys(names))}"
    assert {"vmx", "svm", "arm64", "x64"} <= set(names)


@pytest.mark.parametrize(
    ("name", "isas"),
    [
        ("VMX", "vmx"),
        ("Intel", "vmx"),
        ("amd", "svm"),
        ("X64", "vmx svm"),
        ("x86_64", "vmx svm"),
        ("x86-64", "vmx svm"),
        ("amd64", "vmx svm"),
        ("aarch64", "arm64"),
        ("ARM64", "arm64"),
    ],
)
def test_isas_and_architectures_are_found_by_their_usual_names(name: str, isas: str) -> None:
    assert " ".join(isa.name for isa in lookup.isas(name)) == isas


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
def test_an_unknown_name_suggests_similar_ones(text: str, close: list[str]) -> None:
    with pytest.raises(lookup.UnknownReasonError) as caught:
        lookup.find(text)
    assert [name for name in caught.value.close if name in close] == close
    assert bool(caught.value.close) == bool(close)


def searched(text: str, isa: str | None = None) -> list[str]:
    """Return the names that a search finds, in its order."""
    return [reason.name for _, reason in lookup.search(text, lookup.isas(isa))]


def test_search_finds_words_of_names_meanings_and_advice() -> None:
    names = searched("timer", "vmx")
    assert names[0] == "PREEMPTION_TIMER"  # by its name, although others have lower codes
    assert names.index("EXTERNAL_INTERRUPT") < names.index("HLT")  # by meaning, by advice
    assert searched("TIMER", "vmx") == names
    assert {"msr:wr", "WFx", "SYS64"} <= {*searched("time"), *searched("idle guest")}


def test_search_matches_every_word_at_the_start_of_words() -> None:
    both = searched("timer apic", "vmx")
    assert both
    assert set(both) == set(searched("timer", "vmx")) & set(searched("apic", "vmx"))
    assert "EPT_VIOLATION" not in searched("io", "vmx")
    assert searched("access cr", "vmx")[0] == "CR_ACCESS"


@pytest.mark.parametrize("text", ["", "  ", "_", "(", "nosuchword", "timer nosuchword"])
def test_search_without_a_match_is_empty(text: str) -> None:
    assert searched(text) == []


def test_reasons_with_advice_are_listed_by_category() -> None:
    listed = lookup.with_advice()
    assert list(listed) == [category for category in Category if category in listed]
    pairs = [(isa.name, reason) for found in listed.values() for isa, reason in found]
    advised = [
        (isa.name, reason)
        for isa in lookup.isas()
        for reason in isa.reasons.values()
        if reason.advice.causes
    ]
    assert len(pairs) == len(set(pairs)) == len(advised)
    assert set(pairs) == set(advised)
    assert all(reason.category is category for category in listed for _, reason in listed[category])
    assert set(lookup.with_advice(lookup.isas("arm64"))) <= set(listed)


def test_every_name_is_found_by_itself_and_no_spelling_hides_one() -> None:
    for isa in lookup.isas():
        for code, reason in isa.reasons.items():
            assert code_of(isa, reason.name) == code, reason.name
            assert code_of(isa, reason.name.swapcase()) == code, reason.name
