"""The names of reasons are those that the kernels print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kstats import arch
from kstats.arch.base import Isa, NameTable, Reason
from kstats.arch.print_fmt import exit_names, flag_names, print_tables, strange_names

ROOT = Path(__file__).parent.parent.parent
FORMATS = sorted((ROOT / "tests" / "data" / "formats").glob("*.format"))
MACHINES = sorted({path.stem.rpartition("-")[2] for path in FORMATS})

each_kernel = pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)


def isas_of(machine: str) -> tuple[Isa, ...]:
    """Return the ISAs of a machine, named as Debian names it in the files' names."""
    found = arch.for_machine(machine)
    assert found
    return found.isas


def kernels(machine: str) -> list[str]:
    """Return the texts of a machine's format files."""
    return [path.read_text() for path in FORMATS if path.stem.endswith(f"-{machine}")]


def test_all_kernels_are_there() -> None:
    """From 5.10 to 7.3; a missing file would weaken the other tests."""
    assert {"amd64", "arm64"} <= set(MACHINES)
    versions = {tuple(path.stem.rsplit("-", 2)[1:]) for path in FORMATS}
    for machine in ("amd64", "arm64"):
        for version in ("5.10", "6.1", "6.12", "6.16", "6.17", "6.18", "7.2", "7.3"):
            assert (version, machine) in versions


@each_kernel
def test_the_parser_misses_no_name(path: Path) -> None:
    """It finds as many names as there are pairs that end in a string."""
    text = path.read_text()
    pairs = re.findall(r', *"([^"]+)" *\}', text)
    found = [name for table in print_tables(text) for name in table.names.values()]
    assert found == pairs
    assert len(found) > 30


@each_kernel
def test_every_table_belongs_to_an_isa(path: Path) -> None:
    isas = isas_of(path.stem.rpartition("-")[2])
    expressions = {table.expression for one in isas for table in one.tables}
    assert expressions == {table.expression for table in print_tables(path.read_text())}


@each_kernel
def test_every_printed_name_is_the_reasons_name(path: Path) -> None:
    """So two kernels that disagree about a code fail, too."""
    for one in isas_of(path.stem.rpartition("-")[2]):
        assert exit_names(one, path.read_text())
        assert strange_names(one, path.read_text()) == {}


@pytest.mark.parametrize("machine", MACHINES)
def test_reasons_and_flags_that_no_kernel_prints_are_marked(machine: str) -> None:
    for one in isas_of(machine):
        named = {code for text in kernels(machine) for code in exit_names(one, text)}
        assert named == {reason.code for reason in one.reasons.values() if reason.printed}
        flags = [flag_names(one, text) for text in kernels(machine)]
        assert one.flags in flags or not any(flags)


def test_vmx_has_the_flags_of_the_newest_kernel() -> None:
    text = (FORMATS[0].parent / "trixie-backports-7.3-amd64.format").read_text()
    assert flag_names(arch.isa("vmx"), text) == arch.isa("vmx").flags
    assert arch.isa("vmx").flags == {0x80000000: "FAILED_VMENTRY"}


def test_generated_documents_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "gen_docs.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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


def test_a_format_without_tables() -> None:
    assert list(print_tables('name: x\nprint fmt: "SEPC:0x%lx", REC->sepc\n')) == []


def test_qualifier_flags_and_unused_numbers() -> None:
    """The ISA's tables decide how the kernel's numbers become codes."""
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


def test_names_are_unique_over_all_isas_of_an_architecture() -> None:
    """A name identifies a reason on every host of an architecture."""
    for one in arch.BUILT_IN:
        names = [reason.name for isa in one.isas for reason in isa.reasons.values()]
        assert len(names) == len(set(names))
