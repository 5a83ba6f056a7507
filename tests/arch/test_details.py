"""How details are packed, named and printed, and which defects the contract finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kstats import arch as arches
from kstats.arch.base import BtfField, DetailEvent, DetailSource, Probe
from kstats.arch.details import UNKNOWN, Access, Detail, Parts
from kstats.arch.rules import check
from tests.arch.samples import C_TEXT, DEMO, SOURCE, sample

if TYPE_CHECKING:
    from pathlib import Path

    from kstats.arch.base import Arch


@given(st.sampled_from(Access), st.integers(0, 63), st.integers(0, (1 << 56) - 1))
def test_a_detail_is_its_parts(access: Access, size: int, number: int) -> None:
    parts = Parts(access, size, number)
    assert 0 <= parts.detail <= UNKNOWN
    assert Parts.of(parts.detail) == parts


def text(isa: str, kind: str, number: int, access: Access = Access.NONE, size: int = 0) -> str:
    """Return the text of a detail."""
    detail = arches.detail(isa, kind)
    assert detail
    return detail.text(Parts(access, size, number).detail)


@pytest.mark.parametrize("isa", ["vmx", "svm"])
def test_x86_details_have_their_usual_names(isa: str) -> None:
    assert text(isa, "msr", 0x6E0, Access.WRITE) == "write MSR_IA32_TSC_DEADLINE(0x6e0)"
    assert text(isa, "msr", 0x80B, Access.WRITE) == "write X2APIC_EOI(0x80b)"
    assert text(isa, "msr", 0x4B564D01, Access.READ) == "read MSR_KVM_SYSTEM_TIME_NEW(0x4b564d01)"
    assert text(isa, "msr", 0x4B564DFF, Access.READ) == "read 0x4b564dff"
    assert text(isa, "io", 0x3F8, Access.WRITE, 1) == "out 0x3f8/1"
    assert text(isa, "io", 0xCF8, Access.READ, 4) == "in 0xcf8/4"
    assert text(isa, "mmio", 0xFEE0_00B0, Access.WRITE, 4) == "write 0xfee000b0/4"
    assert text(isa, "page", 0x1000, Access.FETCH) == "fetch 0x1000"
    assert text(isa, "hypercall", 5) == "KVM_HC_KICK_CPU(0x5)"
    assert text(isa, "hypercall", 0x99) == "0x99"
    assert text(isa, "cr", 4, Access.READ) == "read cr4"


def test_arm64_details_have_their_usual_names() -> None:
    register = 3 << 14 | 0 << 11 | 12 << 7 | 11 << 3 | 5
    assert text("arm64", "sysreg", register, Access.WRITE) == "write ICC_SGI1R_EL1(S3_0_C12_C11_5)"
    assert text("arm64", "sysreg", 3 << 14 | 1 << 7, Access.READ) == "read SCTLR_EL1(S3_0_C1_C0_0)"
    unknown = 3 << 14 | 7 << 11 | 15 << 7 | 15 << 3 | 7
    assert text("arm64", "sysreg", unknown, Access.WRITE) == "write S3_7_C15_C15_7"
    assert text("arm64", "hypercall", 0x8400_0000) == "PSCI_0_2_FN_PSCI_VERSION(0x84000000)"
    assert text("arm64", "mmio", 0x901_0000, Access.READ, 8) == "read 0x9010000/8"


# Intel SDM vol. 4, AMD APM vol. 2 appendix A, TLFS, Arm ARM D24.2, DEN 0022 (PSCI) 5.1
KNOWN = {
    ("vmx", "msr"): {
        0x10: "MSR_IA32_TSC",
        0x1B: "MSR_IA32_APICBASE",
        0x79: "MSR_IA32_UCODE_WRITE",
        0x8B: "MSR_IA32_UCODE_REV",
        0x277: "MSR_IA32_CR_PAT",
        0x830: "X2APIC_ICR",
        0x838: "X2APIC_TMICT",
        0x40000070: "HV_X64_MSR_EOI",
        0xC0000080: "MSR_EFER",
        0xC0000084: "MSR_SYSCALL_MASK",
        0xC0010015: "MSR_K7_HWCR",
    },
    ("arm64", "sysreg"): {
        0x8084: "OSLAR_EL1",
        0xC020: "ID_AA64PFR0_EL1",
        0xC030: "ID_AA64ISAR0_EL1",
        0xDF19: "CNTV_CTL_EL0",
        0x5BF1: "DC_CIVAC",
    },
    ("arm64", "hypercall"): {
        0xC4000003: "PSCI_0_2_FN64_CPU_ON",
        0x84000008: "PSCI_0_2_FN_SYSTEM_OFF",
    },
}


@pytest.mark.parametrize(("isa", "kind"), KNOWN)
def test_numbers_are_those_of_the_manuals(isa: str, kind: str) -> None:
    detail = arches.detail(isa, kind)
    assert detail
    known = KNOWN[isa, kind]
    assert {number: detail.names().get(number) for number in known} == known


def test_unknown_isas_and_kinds_have_no_details() -> None:
    assert arches.detail("nobody", "msr") is None
    assert arches.detail("vmx", "sysreg") is None
    assert arches.detail("arm64", "msr") is None


def test_sources_provide_every_kind_of_their_isa() -> None:
    kinds = {isa.name: {d.name for d in isa.details} for a in arches.BUILT_IN for isa in a.isas}
    x86 = {"msr", "io", "mmio", "page", "hypercall", "cr"}
    known = {"vmx": x86, "svm": x86, "arm64": {"sysreg", "mmio", "page", "hypercall"}}
    assert kinds | known == kinds
    for arch in arches.BUILT_IN:
        for source in arch.sources:
            assert {detail.name for detail in source.details} == kinds[source.isa]


KIND = Detail("tone", "tones", frozenset({1}), lambda: {0: "A"})
WAY = DetailSource(
    "tone",
    ("DEMO_TONE",),
    (SOURCE.probes[0]._replace(btf=(BtfField("TONE_OFFSET", ("s.tone",)),)),),
    (DetailEvent("demo_tone", "on_tone", "TONE_ARGS"),),
)


def detailed(one: Arch, folder: Path, kind: Any = KIND, way: Any = WAY, words: str = "") -> Arch:
    """Return the sample with a kind of detail, a source of it and a C file."""
    file = folder / "tone.c"
    file.write_text(words or "exit_detail DEMO_TONE DEMO_RAW TONE_OFFSET on_tone TONE_ARGS")
    isa = DEMO._replace(details=tuple(kind) if isinstance(kind, list) else (kind,))
    source = SOURCE._replace(details=tuple(way) if isinstance(way, list) else (way,))
    return one._replace(isas=(isa,), sources=(source,), bpf_detail=file)


def test_a_sample_with_details_keeps_the_contract(tmp_path: Path) -> None:
    assert "DEMO_RAW" in C_TEXT
    assert check(detailed(sample(tmp_path), tmp_path)) == []


def kind(**changes: Any) -> dict[str, Callable[[], Any]]:
    return {"kind": lambda: KIND._replace(**changes)}


def way(**changes: Any) -> dict[str, Callable[[], Any]]:
    return {"way": lambda: WAY._replace(**changes)}


def c_text(words: str) -> dict[str, Callable[[], Any]]:
    return {"words": lambda: words}


DEFECTS: list[tuple[str, dict[str, Callable[[], Any]]]] = [
    ("detail 'tone' appears twice", {"kind": lambda: [KIND, KIND]}),
    ("Detail.name has characters other than lower-case", kind(name="To ne")),
    ("Detail.codes is empty", kind(codes=frozenset())),
    ("Detail.meaning is not one line", kind(meaning="")),
    ("0x100000000000000 more than 56 bits", kind(names=lambda: {1 << 56: "A"})),
    ("'a,b' has unusual characters", kind(names=lambda: {1: "a,b"})),
    ("detail 'tone' appears twice", {"way": lambda: [WAY, WAY]}),
    ("the ISA has no detail 'tone'", {"kind": list}),
    ("DetailSource.probes is empty", way(probes=())),
    ("DetailSource.defines is empty", way(defines=())),
    ("the source has no probe 'new'", way(probes=(Probe("new", "raw", "X", args=1),))),
    ("DetailSource.defines is not a preprocessor name: 'tone'", way(defines=("tone",))),
    (
        "DetailEvent.tracepoint has characters",
        {"way": lambda: WAY._replace(events=(DetailEvent("a b", "on_tone"),))},
    ),
    ("tone.c does not mention on_tone", c_text("exit_detail DEMO_TONE TONE_OFFSET TONE_ARGS")),
    ("tone.c does not mention exit_detail", c_text("DEMO_TONE TONE_OFFSET on_tone TONE_ARGS")),
]


@pytest.mark.parametrize(("problem", "spoilt"), DEFECTS, ids=[text for text, _ in DEFECTS])
def test_each_defect_is_found(
    problem: str, spoilt: dict[str, Callable[[], Any]], tmp_path: Path
) -> None:
    parts = {key: make() for key, make in spoilt.items()}
    problems = check(detailed(sample(tmp_path), tmp_path, **parts))
    assert any(problem in line for line in problems), problems


def test_a_missing_c_file_is_found(tmp_path: Path) -> None:
    one = detailed(sample(tmp_path), tmp_path)._replace(bpf_detail=None)
    assert check(one) == ["no C file for the details: None"]
