"""The contract holds for the built-in architectures, and each kind of defect is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kstats import arch
from kstats.arch.base import (
    Advice,
    Arch,
    BtfField,
    Category,
    Column,
    ExitEvent,
    Isa,
    NameTable,
    Reason,
    RecordField,
    SlotRange,
    Spellings,
    by_code,
)
from kstats.arch.contract import ContractTests, main, resolve
from kstats.arch.rules import check
from kstats.errors import BackendError, UnknownNameError
from tests.arch.samples import ARCH, DEMO, SOURCE, sample


@pytest.mark.parametrize("one", arch.BUILT_IN, ids=lambda one: one.name)
def test_built_in_architectures_keep_the_contract(one: Arch) -> None:
    """Tested like the author of a backend tests it."""

    class TestOne(ContractTests):
        arch = one

    TestOne().test_keeps_the_contract()


def test_the_sample_keeps_the_contract(tmp_path: Path) -> None:
    assert check(sample(tmp_path)) == []


def test_an_architecture_that_only_decodes_keeps_the_contract() -> None:
    assert check(ARCH) == []


Spoil = Callable[[Arch], Arch]


def top(**changes: Any) -> Spoil:
    return lambda one: one._replace(**changes)


def isa(**changes: Any) -> Spoil:
    return lambda one: one._replace(isas=(DEMO._replace(**changes),))


def reason(key: int, **changes: Any) -> Spoil:
    def spoil(one: Arch) -> Arch:
        changed = DEMO.reasons[1]._replace(**({"code": key} | changes))
        return isa(reasons={**DEMO.reasons, key: changed})(one)

    return spoil


def column(*before: tuple[str, ...], **changes: Any) -> Spoil:
    """Change the first column, or insert others before it."""

    def spoil(one: Arch) -> Arch:
        first, *others = ARCH.columns
        columns = [*(Column(*words) for words in before), first._replace(**changes), *others]
        return one._replace(columns=tuple(columns))

    return spoil


def source(**changes: Any) -> Spoil:
    return lambda one: one._replace(sources=(SOURCE._replace(**changes),))


def probe(number: int, **changes: Any) -> Spoil:
    def spoil(one: Arch) -> Arch:
        probes = list(SOURCE.probes)
        probes[number] = probes[number]._replace(**changes)
        return source(probes=tuple(probes))(one)

    return spoil


def raw(**changes: Any) -> Spoil:
    return probe(0, **changes)


def classic(**changes: Any) -> Spoil:
    return probe(1, **changes)


class Forgetful(Isa):
    """An ISA that loses the number of an unknown code."""

    def reason(self, code: int) -> Reason:
        """Return the reason of ``code``."""
        return self.reasons.get(code) or Reason(code, "UNKNOWN", "ones")


FORGETFUL = Forgetful("demo", "Demo", DEMO.reasons)
SECOND = SOURCE._replace(isa="second", define="KSTATS_SECOND")

DEFECTS: list[tuple[str, Spoil]] = [
    ("Arch.name has characters other than", top(name="Demo 64")),
    ("Isa.name has characters other than", isa(name="d-e")),
    ("ISA 'demo' appears twice", top(isas=(DEMO, DEMO))),
    ("Arch.isas is empty", top(isas=())),
    ("Arch.machines is not a tuple", top(machines=())),
    ("Arch.machines is not a tuple", top(machines="demo64")),
    ("Arch.title is not one line", top(title="")),
    ("Isa.title is not one line", isa(title="two\nlines")),
    ("name 'ONE' appears twice", reason(3)),
    ("not a 64-bit code", reason(1 << 64, name="BIG")),
    ("not a 64-bit code", reason(-1, name="NEGATIVE")),
    ("under code 0x3 has the code 0x4", reason(3, code=4, name="FOUR")),
    ("has unusual characters", reason(3, name="a,b")),
    ("has unusual characters", reason(3, name="")),
    ("has unusual characters", reason(3, name="two\nlines")),
    ("no column 'twos'", reason(3, name="THREE", column="twos")),
    ("Reason.category is not a category: 'fun'", reason(3, name="THREE", category="fun")),
    ("Reason.meaning is not one line", reason(3, name="THREE", meaning="x" * 101)),
    ("Reason.source is not one line", reason(3, name="THREE", source="a\nb")),
    ("Column.meaning is not one line", column(meaning="a\nb")),
    ("Advice.causes is not one line", reason(3, name="THREE", advice=Advice(("a\nb",), ("c",)))),
    ("Advice.remedies is not one line", reason(3, name="THREE", advice=Advice(("a",), ("",)))),
    ("causes without remedies", reason(3, name="THREE", advice=Advice(("a",)))),
    ("causes without remedies", reason(3, name="THREE", advice=Advice(remedies=("a",)))),
    ("Spellings.aliases is not upper case", isa(spellings=Spellings(aliases={"One": "ONE"}))),
    ("spelling 'TWO' is itself a name", isa(spellings=Spellings(aliases={"TWO": "ONE"}))),
    ("or 'THREE' is not", isa(spellings=Spellings(aliases={"DREI": "THREE"}))),
    ("category_notes has an unknown category: 'fun'", isa(category_notes={"fun": ("x",)})),
    ("category_notes is not a tuple", isa(category_notes={Category.IO: ()})),
    ("category_notes is not a tuple", isa(category_notes={Category.IO: "text"})),
    ("not a tuple of paragraphs", isa(category_notes={Category.IO: ("two\nlines",)})),
    ("the last column is not 'other'", top(columns=ARCH.columns[::-1])),
    ("the last column is not 'other'", top(columns=())),
    ("column 'ones' appears twice", top(columns=(ARCH.columns[0], *ARCH.columns))),
    ("heading ('', 'ones') appears twice", column(("x", "ones"))),
    (
        "group 'g' appears twice",
        top(columns=(Column("x", "x", "g"), ARCH.columns[0], Column("y", "y", "g"))),
    ),
    ("Column.key has characters other than", column(("On-es", "a"))),
    ("Column.label is not one word", column(("x", "a b"))),
    ("column x: no code counts under it", column(("x", "x"))),
    ("Isa.flag_mask has more than 32 bits", isa(flag_mask=1 << 32, flags={}, failed_mask=0)),
    ("failed_mask 0x1000000 has bits outside", isa(failed_mask=1 << 24)),
    ("flag BOTH (0x300) is not one bit", isa(flags={0x300: "BOTH"})),
    ("flag LOW (0x1) is not one bit of flag_mask", isa(flags={1: "LOW"})),
    ("MIXED (0x101) has a bit of flag_mask", reason(0x101, name="MIXED")),
    ("unknown code 0x0 becomes 'UNKNOWN'", top(isas=(FORGETFUL,))),
    ("unknown code 0x0 counts under 'ones'", top(isas=(FORGETFUL,))),
    ("table ('symbolic', 'REC->x') appears twice", isa(tables=(NameTable("REC->x"),) * 2)),
    ("has more than 32 bits", isa(tables=(NameTable("REC->x", qualifier=1 << 32),))),
    ("source of ISA 'demo' appears twice", top(sources=(SOURCE, SOURCE))),
    ("source define 'KSTATS_DEMO' appears twice", top(sources=(SOURCE, SOURCE))),
    ("there is a source, but no ISA 'second'", top(sources=(SECOND,))),
    ("need modules and a cpu_flag", top(sources=(SOURCE, SECOND))),
    ("cpu_flag '' appears twice", top(sources=(SOURCE, SECOND))),
    ("module 'm' appears twice", source(modules=("m", "m"))),
    ("module mute is silent, but has a source", source(modules=("mute",))),
    ("SlotRange(first=9, length=2) overlaps", source(slots=(SlotRange(0, 10), SlotRange(9, 2)))),
    ("SlotRange.length is not positive", source(slots=(SlotRange(3, 0),))),
    ("SlotRange.first is not a 64-bit code", source(slots=(SlotRange(1 << 64, 1),))),
    ("SlotRange: ends after the last 64-bit code", source(slots=(SlotRange((1 << 64) - 1, 2),))),
    ("5000 slots; 1 to 2048", source(slots=(SlotRange(0, 5000),))),
    ("0 slots; 1 to 2048", source(slots=())),
    ("ExitSource.define is not a preprocessor name: 'a-b'", source(define="a-b")),
    ("ExitSource.probes is empty", source(probes=())),
    ("probe 'raw' appears twice", classic(name="raw")),
    ("define 'DEMO_RAW' appears twice", classic(define="DEMO_RAW")),
    ("a raw tracepoint needs the number", raw(args=None)),
    ("a raw tracepoint needs the number", raw(args=13)),
    ("a raw tracepoint has no record", raw(record=SOURCE.probes[1].record)),
    ("a classic tracepoint needs fields", classic(record=())),
    ("a classic tracepoint has neither", classic(args=2)),
    ("a classic tracepoint has neither", classic(btf=SOURCE.probes[0].btf)),
    ("a classic tracepoint has neither", classic(direct=True)),
    ("attach is 'kprobe'", raw(attach="kprobe")),
    ("Probe.define is not a preprocessor name: 'raw-probe'", raw(define="raw-probe")),
    ("BtfField.paths is empty", raw(btf=(BtfField("DEMO_OFFSET", ()),))),
    ("is not struct.member: 'member'", raw(btf=(BtfField("DEMO_OFFSET", ("member",)),))),
    ("BtfField.define is not", raw(btf=(BtfField("offset", ("a.b",)),))),
    ("RecordField.define is not", classic(record=(RecordField("reason", "reason"),))),
    ("no C file for the sources: None", top(bpf=None)),
    ("demo.c does not mention NEW_RAW", raw(define="NEW_RAW")),
    ("demo.c does not mention NEW", raw(btf=(BtfField("NEW", ("a.b",)),))),
    ("demo.c does not mention NEW", classic(record=(RecordField("NEW", "x"),))),
    ("demo.c does not mention KSTATS_SECOND", top(sources=(SOURCE, SECOND))),
    ("module mute is silent, without advice", top(silent_modules={"mute": ""})),
    ("AttributeError: 'str' object has no attribute", source(probes=("raw",))),
    ("columns: TypeError", top(columns=None)),
]


@pytest.mark.parametrize(("problem", "spoil"), DEFECTS, ids=[text for text, _ in DEFECTS])
def test_each_defect_is_found(problem: str, spoil: Spoil, tmp_path: Path) -> None:
    found = check(spoil(sample(tmp_path)))
    assert any(problem in line for line in found), found


def test_two_reasons_with_the_same_code_are_an_error() -> None:
    """The mapping would keep one of them."""
    with pytest.raises(ValueError, match="TWO and ONE have the same code, 0x1"):
        by_code(Reason(1, "TWO"), Reason(1, "ONE"))


def test_an_invalid_pattern_is_found() -> None:
    """Patterns are compiled only when a trace is decoded, which is too late."""
    event = ExitEvent(pattern="(", code=lambda _isa, _match: None, bpftrace_code="0")
    (problem,) = check(isa(event=event)(ARCH))
    assert problem.startswith("demo: the pattern of the event is not a regular expression: ")


def test_a_missing_c_file_is_found(tmp_path: Path) -> None:
    one = sample(tmp_path)._replace(bpf=tmp_path / "lost.c")
    assert check(one) == [f"no C file for the sources: {tmp_path / 'lost.c'}"]


def test_the_pytest_form_lists_every_problem() -> None:
    class Broken(ContractTests):
        arch = ARCH._replace(columns=ARCH.columns[::-1], bpf=None, sources=(SOURCE,))

    with pytest.raises(AssertionError, match=r"the last column(.|\n)*no C file"):
        Broken().test_keeps_the_contract()


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x64", "tests.arch.samples:ARCH"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "x64: keeps the contract",
        "tests.arch.samples:ARCH: keeps the contract",
    ]
    assert main(["tests.arch.samples:DEMO"]) == 1
    assert "is a Isa, not" in capsys.readouterr().out
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
    """The last probe of every source is the classic tracepoint."""
    for one in arch.arches():
        for exit_source in one.sources:
            *raws, last = exit_source.probes
            assert last.attach == "classic"
            assert all(probe.attach == "raw" for probe in raws)
