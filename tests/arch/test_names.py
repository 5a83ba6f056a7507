"""The names are the kernels'."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from kstats.arch import arches, isa
from kstats.arch.base import Isa, NameTable, Reason
from kstats.arch.print_fmt import exit_names, flag_names, print_tables, strange_names

ROOT = Path(__file__).parent.parent.parent
FORMATS = sorted((ROOT / "tests" / "data" / "formats").glob("*.format"))
ISAS = {"amd64": ("vmx", "svm"), "arm64": ("arm64",)}

each_kernel = pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)


def isas_of(path: Path) -> tuple[Isa, ...]:
    """The ISAs whose names the format file has."""
    return tuple(isa(name) for name in ISAS[path.stem.rpartition("-")[2]])


def test_all_kernels_are_there() -> None:
    """From 5.10 to 7.3, on both machines: a lost file must not make the tests easier."""
    versions = {tuple(path.stem.rsplit("-", 2)[1:]) for path in FORMATS}
    for machine in ISAS:
        for version in ("5.10", "6.1", "6.12", "6.16", "6.17", "6.18", "7.2", "7.3"):
            assert (version, machine) in versions


@each_kernel
def test_the_parser_misses_no_name(path: Path) -> None:
    """The parser finds as many names as there are pairs that end in a string."""
    text = path.read_text()
    pairs = re.findall(r', *"([^"]+)" *\}', text)
    found = [name for table in print_tables(text) for name in table.names.values()]
    assert found == pairs
    assert len(found) > 30


@each_kernel
def test_every_table_belongs_to_an_isa(path: Path) -> None:
    expressions = {table.expression for one in isas_of(path) for table in one.tables}
    assert expressions == {table.expression for table in print_tables(path.read_text())}


@each_kernel
def test_every_name_is_ours(path: Path) -> None:
    for one in isas_of(path):
        assert exit_names(one, path.read_text())
        assert strange_names(one, path.read_text()) == {}


def test_every_name_is_some_kernels() -> None:
    """Apart from the qualified and header names that the ISAs list as such."""
    ours = {"vmx": {6, 76}, "svm": {0x8E, 0x7C | 1 << 32, 0x7C | 2 << 32}}
    ours["arm64"] = {0xA, 0xD, 0xE, 0x11, 0x12, 0x13, 0x1C, 0x1D, 0x27, 0x2D, 3 | 1 << 32}
    for name, extra in ours.items():
        kernels = [path for path in FORMATS if isa(name) in isas_of(path)]
        named = {code for path in kernels for code in exit_names(isa(name), path.read_text())}
        assert isa(name).reasons.keys() - named == extra


def test_vmx_has_the_flags_of_the_newest_kernel() -> None:
    text = (FORMATS[0].parent / "trixie-backports-7.3-amd64.format").read_text()
    assert flag_names(isa("vmx"), text) == isa("vmx").flags == {0x80000000: "FAILED_VMENTRY"}


@pytest.mark.parametrize("tool", ["gen_names.py", "gen_docs.py"])
def test_generated_files_are_up_to_date(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / tool, "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_kernels_that_disagree_are_an_error() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "gen_names.py"))
    assert tool["union"]([{2: "B"}, {1: "A", 2: "B"}]) == {1: "A", 2: "B"}
    with pytest.raises(tool["ConflictError"], match="0x2 is 'B' and 'C'"):
        tool["union"]([{2: "B"}, {2: "C"}])


def format_file(*tables: str) -> str:
    return f'name: kvm_exit\nprint fmt: "%s at %lx", {", ".join(tables)}, REC->pc\n'


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("0", 0),
        ("0x040 + 14", 0x4E),
        ("(((0x1aUL)))", 0x1A),
        ("0x80000012ull", 0x80000012),
        ("-1", 0xFFFFFFFF),
        ("-1ull", 0xFFFFFFFF),
        ("1 << 4 | 2", 0x12),
        ("8 - 3", 5),
    ],
)
def test_numbers_are_constant_c_expressions(number: str, value: int) -> None:
    (table,) = print_tables(format_file(f'__print_symbolic(REC->n, {{ {number}, "N" }})'))
    assert table.names == {value: "N"}


@pytest.mark.parametrize("number", ["REASON_CPUID", "sizeof(int)", "1 +", "2 ** 3", "1.5"])
def test_any_other_number_is_an_error(number: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        list(print_tables(format_file(f'__print_symbolic(REC->n, {{ {number}, "N" }})')))


def test_a_table_without_names_is_none() -> None:
    assert list(print_tables('name: x\nprint fmt: "SEPC:0x%lx", REC->sepc\n')) == []


def test_qualifier_flags_and_unused_numbers() -> None:
    """What an ISA says of its tables decides what becomes of the kernel's numbers."""
    text = format_file(
        '__print_symbolic(REC->ret, {0, "IRQ" }, {2, "TRAP" })',
        '__print_symbolic(REC->ec, { 1, "WFx" }, { 9, "NEW" }, { 1, "SHADOWED" })',
        '__print_flags(REC->ec & ~0xff, " ", { 0x100, "LATE" })',
    )
    one = Isa(
        name="x",
        title="X",
        reasons={1: Reason(1, "WFx"), 1 << 32: Reason(1 << 32, "INTERRUPT")},
        tables=(
            NameTable("REC->ec"),
            NameTable("REC->ret", qualifier=1, unused=frozenset({2})),
            NameTable("REC->ec & ~0xff", kind="flags"),
        ),
    )
    assert exit_names(one, text) == {1: "WFx", 9: "NEW", 1 << 32: "IRQ"}
    assert strange_names(one, text) == {9: "NEW", 1 << 32: "IRQ", 0x100: "LATE"}


def test_names_of_ours_are_unique_over_all_isas_of_an_architecture() -> None:
    """A reason's name alone tells it, on every host of one architecture."""
    for arch in arches():
        names = [reason.name for one in arch.isas for reason in one.reasons.values()]
        assert len(names) == len(set(names))
