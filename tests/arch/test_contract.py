"""The contract holds for ours, and finds each kind of defect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

from kstats import arch
from kstats.arch.base import (
    Arch,
    BtfField,
    Category,
    Column,
    Isa,
    NameTable,
    Reason,
    RecordField,
    SlotRange,
)
from kstats.arch.contract import ContractTests, check, main, resolve
from kstats.errors import BackendError, UnknownNameError
from tests.arch.samples import ARCH, DEMO, SOURCE, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestX64(ContractTests):
    """Ours, the way a backend's author writes it."""

    arch: ClassVar[Arch] = arch.find("x64")


class TestArm64(ContractTests):
    """Ours."""

    arch: ClassVar[Arch] = arch.find("arm64")


def test_the_sample_keeps_the_contract(tmp_path: Path) -> None:
    assert check(sample(tmp_path)) == []


def test_an_architecture_that_only_decodes_keeps_the_contract() -> None:
    assert check(ARCH) == []


def top(**changes: Any) -> Callable[[Arch], Arch]:
    return lambda one: attrs.evolve(one, **changes)


def isa(**changes: Any) -> Callable[[Arch], Arch]:
    return top(isas=(attrs.evolve(DEMO, **changes),))


def reason(key: int, **changes: Any) -> Callable[[Arch], Arch]:
    changed = attrs.evolve(DEMO.reasons[1], **({"code": key} | changes))
    return isa(reasons={**DEMO.reasons, key: changed})


def source(**changes: Any) -> Callable[[Arch], Arch]:
    return top(sources=(attrs.evolve(SOURCE, **changes),))


def raw(**changes: Any) -> Callable[[Arch], Arch]:
    return source(probes=(attrs.evolve(SOURCE.probes[0], **changes), SOURCE.probes[1]))


def classic(**changes: Any) -> Callable[[Arch], Arch]:
    return source(probes=(SOURCE.probes[0], attrs.evolve(SOURCE.probes[1], **changes)))


class Forgetful(Isa):
    """Loses the number of a code it does not know."""

    def reason(self, code: int) -> Reason:
        """The reason of ``code``."""
        return self.reasons.get(code) or Reason(code, "UNKNOWN", "ones")


FORGETFUL = Forgetful("demo", "Demo", DEMO.reasons)
SECOND = attrs.evolve(SOURCE, isa="second", define="KSTATS_SECOND")

DEFECTS: list[tuple[str, Callable[[Arch], Arch]]] = [
    ("architecture name 'Demo 64'", top(name="Demo 64")),
    ("ISA name 'd-e'", isa(name="d-e")),
    ("ISA 'demo' twice", top(isas=(DEMO, DEMO))),
    ("no ISA", top(isas=())),
    ("machines is not a tuple", top(machines=())),
    ("machines is not a tuple", top(machines="demo64")),
    ("title is not one line", top(title="")),
    ("title is not one line", isa(title="two\nlines")),
    ("demo name 'ONE' twice", reason(3)),
    ("not a 64-bit code", reason(1 << 64, name="BIG")),
    ("not a 64-bit code", reason(-1, name="NEGATIVE")),
    ("demo 0x3: its reason says code 0x4", reason(3, code=4, name="FOUR")),
    ("has unusual characters", reason(3, name="a,b")),
    ("has unusual characters", reason(3, name="")),
    ("has unusual characters", reason(3, name="two\nlines")),
    ("no column 'twos'", reason(3, name="THREE", column="twos")),
    ("'fun' is no category", reason(3, name="THREE", category="fun")),
    ("demo THREE: meaning is not one line", reason(3, name="THREE", meaning="x" * 101)),
    ("demo THREE: source is not one line", reason(3, name="THREE", source="a\nb")),
    (
        "column ones: meaning is not one line",
        top(columns=(attrs.evolve(ARCH.columns[0], meaning="a\nb"), ARCH.columns[1])),
    ),
    ("notes on 'fun', which is no category", isa(category_notes={"fun": ("x",)})),
    ("notes on io are not a tuple", isa(category_notes={Category.IO: ()})),
    ("notes on io are not a tuple", isa(category_notes={Category.IO: "text"})),
    ("a note on io is not one paragraph", isa(category_notes={Category.IO: ("two\nlines",)})),
    ("the last column is not 'other'", top(columns=ARCH.columns[::-1])),
    ("the last column is not 'other'", top(columns=())),
    ("column 'ones' twice", top(columns=(ARCH.columns[0], *ARCH.columns))),
    ("heading ('', 'ones') twice", top(columns=(Column("x", "ones"), *ARCH.columns))),
    (
        "group 'g' twice",
        top(columns=(Column("x", "x", "g"), ARCH.columns[0], Column("y", "y", "g"))),
    ),
    ("column 'On-es'", top(columns=(Column("On-es", "a"), *ARCH.columns))),
    ("is not one word", top(columns=(Column("x", "a b"), *ARCH.columns))),
    ("column x: no code counts under it", top(columns=(Column("x", "x"), *ARCH.columns))),
    ("flag_mask 0x100000000 is beyond", isa(flag_mask=1 << 32, flags={}, failed_mask=0)),
    ("failed_mask 0x1000000 is beyond", isa(failed_mask=1 << 24)),
    ("flag BOTH (0x300) is not one bit", isa(flags={0x300: "BOTH"})),
    ("flag LOW (0x1) is not one bit of flag_mask", isa(flags={1: "LOW"})),
    ("MIXED (0x101) has a bit of flag_mask", reason(0x101, name="MIXED")),
    ("unknown code 0x0 becomes 'UNKNOWN'", top(isas=(FORGETFUL,))),
    ("unknown code 0x0 counts under 'ones'", top(isas=(FORGETFUL,))),
    ("table ('symbolic', 'REC->x') twice", isa(tables=(NameTable("REC->x"),) * 2)),
    ("has more than 32 bits", isa(tables=(NameTable("REC->x", qualifier=1 << 32),))),
    ("source of ISA 'demo' twice", top(sources=(SOURCE, SOURCE))),
    ("source define 'KSTATS_DEMO' twice", top(sources=(SOURCE, SOURCE))),
    ("source of an ISA 'second' that is not there", top(sources=(SECOND,))),
    ("no modules or no cpu_flag", top(sources=(SOURCE, SECOND))),
    ("cpu_flag '' twice", top(sources=(SOURCE, SECOND))),
    ("module 'm' twice", source(modules=("m", "m"))),
    ("module mute is silent and has a source", source(modules=("mute",))),
    ("SlotRange(first=9, count=2) overlaps", source(slots=(SlotRange(0, 10), SlotRange(9, 2)))),
    ("is empty or beyond 64 bits", source(slots=(SlotRange(3, 0),))),
    ("is empty or beyond 64 bits", source(slots=(SlotRange((1 << 64) - 1, 2),))),
    ("5000 slots, 1 to 2048", source(slots=(SlotRange(0, 5000),))),
    ("0 slots, 1 to 2048", source(slots=())),
    ("'a-b' is no preprocessor name", source(define="a-b")),
    ("source demo: no probe", source(probes=())),
    ("probe 'raw' twice", classic(name="raw")),
    ("define 'DEMO_RAW' twice", classic(define="DEMO_RAW")),
    ("probe raw: a raw tracepoint needs the number", raw(args=None)),
    ("probe raw: a raw tracepoint needs the number", raw(args=13)),
    ("probe raw: a raw tracepoint has no record", raw(record=SOURCE.probes[1].record)),
    ("probe classic: a classic tracepoint needs fields", classic(record=())),
    ("probe classic: a classic tracepoint has neither", classic(args=2)),
    ("probe classic: a classic tracepoint has neither", classic(btf=SOURCE.probes[0].btf)),
    ("probe classic: a classic tracepoint has neither", classic(direct=True)),
    ("attach is 'kprobe'", raw(attach="kprobe")),
    ("'raw-probe' is no preprocessor name", raw(define="raw-probe")),
    ("DEMO_OFFSET: no path", raw(btf=(BtfField("DEMO_OFFSET", ()),))),
    ("'member' is not struct.member", raw(btf=(BtfField("DEMO_OFFSET", ("member",)),))),
    ("no C file (None)", top(bpf=None)),
    ("demo.c does not mention NEW_RAW", raw(define="NEW_RAW")),
    ("demo.c does not mention NEW", raw(btf=(BtfField("NEW", ("a.b",)),))),
    ("demo.c does not mention NEW", classic(record=(RecordField("NEW", "x"),))),
    ("demo.c does not mention KSTATS_SECOND", top(sources=(SOURCE, SECOND))),
    ("module mute: no advice", top(silent_modules={"mute": ""})),
    ("probes: AttributeError", source(probes=("raw",))),
    ("columns: TypeError", top(columns=None)),
]


@pytest.mark.parametrize(("problem", "spoil"), DEFECTS, ids=[text for text, _ in DEFECTS])
def test_each_defect_is_found(problem: str, spoil: Callable[[Arch], Arch], tmp_path: Path) -> None:
    problems = check(spoil(sample(tmp_path)))
    assert any(problem in line for line in problems), problems


def test_a_c_file_that_is_not_there_is_found(tmp_path: Path) -> None:
    one = attrs.evolve(sample(tmp_path), bpf=tmp_path / "lost.c")
    assert check(one) == [f"no C file ({tmp_path / 'lost.c'}) for the sources"]


def test_the_pytest_form_lists_every_problem() -> None:
    class Broken(ContractTests):
        arch = attrs.evolve(ARCH, title="", machines=())

    with pytest.raises(AssertionError, match=r"machines is not(.|\n)*title is not"):
        Broken().test_keeps_the_contract()


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x64", "tests.arch.samples:ARCH"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "x64: keeps the contract",
        "tests.arch.samples:ARCH: keeps the contract",
    ]
    assert main(["tests.arch.samples:DEMO"]) == 1
    assert "gives a Isa, not" in capsys.readouterr().out
    assert main(["nobody"]) == 1
    assert capsys.readouterr().out == "nobody: unknown architecture 'nobody'\n"
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: ")


def test_resolve() -> None:
    assert resolve("arm64") is arch.find("arm64")
    assert resolve("tests.arch.samples:ARCH") is ARCH
    with pytest.raises(BackendError, match="cannot be loaded: ModuleNotFoundError"):
        resolve("no.such.module:X")
    with pytest.raises(UnknownNameError):
        resolve("nobody")


def test_probes_are_complete_for_every_source() -> None:
    """Ours can fall back to the classic tracepoint everywhere; it is tried last."""
    for one in arch.arches():
        for exit_source in one.sources:
            *raws, last = exit_source.probes
            assert last.attach == "classic"
            assert all(probe.attach == "raw" for probe in raws)
