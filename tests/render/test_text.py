"""The table in a file, in a pipe and on a terminal."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from wcwidth import wcswidth

from kstats.model import Sample
from kstats.render.text import TextRenderer, heading_texts
from kstats.table import Heading, Row, Table
from kstats.views.percpu import Options, PerCpuView
from tests.samples import SAMPLES, sample

# The headings of Fuchsia's kstats -v, and our last column.
ARM64_HEADER = "cpu vm_entry vm_exit inst_abt data_abt wfx_inst sys_inst smc_inst ints other"
X64_HEADER = (
    "cpu vm_entry vm_exit ints ints_win ept ctrl_reg msr(rd wr) "
    "inst(io hlt cpuid ple vmcall xsetbv) other"
)

EPT, CPUID = ("vmx", 48), ("vmx", 10)
BOLD, DIM = "\x1b[1m", "\x1b[2m"


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal of ten lines."""
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def written(*samples: Sample, stream: io.StringIO | None = None, **options: Any) -> list[str]:
    """Return the lines for these samples."""
    stream = io.StringIO() if stream is None else stream
    view, renderer = PerCpuView(Options(**options)), TextRenderer(stream)
    for of in samples:
        renderer.write(view.table(of))
    return stream.getvalue().splitlines()


def plain(line: str) -> str:
    """Return a line without colours."""
    return re.sub(r"\x1b\[\d*m", "", line)


def test_arm64_looks_like_on_fuchsia() -> None:
    of = sample(
        {
            ("arm64", 0x24): {0: 6, 1: 111},
            ("arm64", 0x01): {0: 27, 1: 3},
            ("arm64", 0x18): {0: 1, 1: 17},
            ("arm64", 1 << 32): {0: 9, 1: 94},
        },
        arch="arm64",
        entries={0: 43, 1: 226},
    )
    assert written(of) == [
        ARM64_HEADER,
        "  0       43      43        0        6       27        1        0    9     0",
        "  1      226     225        0      111        3       17        0   94     0",
    ]


def test_x64_looks_like_on_fuchsia() -> None:
    codes = {1: 10, 31: 10, 32: 10, 30: 5, 12: 5}
    of = sample({("vmx", c): {0: n} for c, n in codes.items()}, cpus=(0,), entries={0: 40})
    header, row = written(of)
    assert header == X64_HEADER
    assert row == (
        "  0       40      40   10        0   0        0     10  10"
        "       5   5     0   0      0       0     0"
    )


def test_cells_are_right_aligned_under_their_headings() -> None:
    header, row, _ = written(sample({EPT: {0: 7}}, entries={0: 12345678}))
    assert len(header) == len(row)
    for name in ("ept", "other"):
        assert row[header.index(name) + len(name) - 1] in "70"
    assert header.startswith("cpu vm_entry vm_exit")
    assert row.startswith("  0 12345678       7")


def test_columns_only_ever_get_wider() -> None:
    """A report of small numbers stays below one of large ones."""
    lines = written(
        sample({EPT: {0: 1}}, cpus=(0,)),
        sample({EPT: {0: 1234}}, cpus=(0,)),
        sample({EPT: {0: 1}}, cpus=(0,)),
    )
    assert [len(line) for line in lines[2:]] == [len(lines[1]) + 1] * 2


def test_counts_that_outgrow_their_column_are_abbreviated() -> None:
    """Numbers that are names, like those of CPUs, are never abbreviated."""
    of = sample({EPT: {12345: 123456}}, cpus=(12345,), entries={12345: 123456789})
    header, row = written(of)
    assert row.split()[:3] == ["12345", "123M", "123456"]
    assert row.split()[5] == "123K"
    assert len(row) == len(header) == len(X64_HEADER) + 3


@pytest.mark.parametrize("per_second", [False, True])
@pytest.mark.parametrize("busy", [10**4, 10**6, 10**10, 1 << 63])
def test_a_row_of_large_counts_fits_a_screen(busy: int, per_second: bool) -> None:  # noqa: FBT001
    """On a host with 256 CPUs; the headings of x64 alone take 101 columns."""
    counts = {("vmx", code): {255: busy + code} for code in range(70)}
    of = sample(counts, cpus=(255,), entries={255: 70 * busy}, elapsed=1.3)
    lines = written(of, rate=per_second, total=True)
    assert max(map(len, lines)) <= len(X64_HEADER) + 7


def test_rates_are_announced_above_the_columns(terminal: Terminal) -> None:
    lines = written(*[sample(cpus=(0, 1, 2))] * 3, rate=True, stream=terminal)
    assert [plain(line) for line in lines[:2]] == ["per second", X64_HEADER]
    assert [plain(line).split()[0] for line in lines[2:]] == [*"012", *"012", "per", "cpu", *"012"]


def test_the_header_comes_once_outside_of_a_terminal() -> None:
    lines = written(*[sample(cpus=(0, 1, 2))] * 50)
    assert lines[0] == X64_HEADER
    assert lines.count(X64_HEADER) == 1
    assert len(lines) == 1 + 50 * 3


def test_the_header_comes_again_when_columns_change() -> None:
    lines = written(sample({EPT: {0: 1}}), sample({CPUID: {0: 1}}), reasons=True)
    assert [line.split() for line in lines if "cpu" in line] == [
        ["cpu", "vm_entry", "vm_exit", "EPT_VIOLATION", "other"],
        ["cpu", "vm_entry", "vm_exit", "CPUID", "EPT_VIOLATION", "other"],
    ]


def test_a_header_is_always_on_the_screen(terminal: Terminal) -> None:
    """One or two of the nine lines on the screen are headers; the cursor is on the tenth line."""
    lines = written(*[sample(cpus=(0, 1))] * 40, stream=terminal)
    assert len(lines) > 80
    for end in range(9, len(lines) + 1):
        headers = sum("vm_exit" in line for line in lines[end - 9 : end])
        assert headers in {1, 2}
    assert sum("vm_exit" in line for line in lines) == 10


def test_a_report_longer_than_the_screen_has_its_own_header(terminal: Terminal) -> None:
    lines = written(*[sample(cpus=tuple(range(12)))] * 3, stream=terminal)
    assert [i for i, line in enumerate(lines) if "vm_exit" in line] == [0, 13, 26]


def test_on_a_terminal_headers_are_bold_and_idle_cpus_dim(terminal: Terminal) -> None:
    header, busy, idle = written(sample(entries={0: 1}), stream=terminal)
    assert header == f"{BOLD}{X64_HEADER}\x1b[0m"
    assert "\x1b" not in busy
    assert idle.startswith(DIM)
    assert len(plain(idle)) == len(busy) == len(X64_HEADER)


@pytest.mark.parametrize(
    ("variable", "value", "begins"),
    [
        ("NO_COLOR", "1", "cpu"),
        ("NO_COLOR", "", BOLD),
        ("TERM", "dumb", "cpu"),
        ("TERM", "", "cpu"),
        ("TERM", "xterm-256color", BOLD),
    ],
)
def test_environment_variables_disable_colour(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, begins: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert written(sample(), stream=terminal)[0].startswith(begins)


def test_a_pipe_gets_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in "".join(written(sample()))


def test_losses_and_notes_are_below_the_rows() -> None:
    lines = written(
        sample(code_dropped={0: 2}, unsupported_isa=3, missed=1, notes=("the sky is falling",))
    )
    assert [line for line in lines if line.startswith("#")] == lines[3:]
    assert lines[3:] == [
        "# the sky is falling",
        ("# 2 exits with a dropped code: counted under vm_exit and other, without their number"),
        ("# 3 exits of an unsupported ISA: not counted; the vendor module changed, restart kstats"),
        (
            "# 1 event missed while another BPF program was running on the CPU: not counted; "
            "find it with: bpftool prog"
        ),
    ]


def test_the_total_is_the_last_row() -> None:
    *_, total = written(sample({EPT: {0: 1, 1: 2}}), total=True)
    assert total.split()[:3] == ["total", "0", "3"]


def test_rates_have_one_decimal() -> None:
    row = written(sample(entries={0: 1}, elapsed=3.0), rate=True)[2]
    assert row.split()[1] == "0.3"


def test_timestamps_are_above_each_report() -> None:
    stream = io.StringIO()
    renderer = TextRenderer(stream, timestamps=True)
    for _ in range(2):
        renderer.write(PerCpuView().table(sample(cpus=(0,))))
    lines = stream.getvalue().splitlines()
    assert [i for i, line in enumerate(lines) if line == "2026-01-31T12:00:00.250Z"] == [0, 3]


@pytest.mark.parametrize(
    ("interval", "elapsed", "notes"),
    [
        (1.0, 1.0, []),
        (1.0, 1.15, []),
        (1.0, 0.85, []),
        (1.0, 0.3141, ["# this report covers 0.314 seconds, not 1"]),
        (1.0, 2.5, ["# this report covers 2.5 seconds, not 1"]),
        (0.01, 0.1, []),
        (0.01, 0.2, ["# this report covers 0.2 seconds, not 0.01"]),
        (None, 2.5, []),
    ],
)
def test_a_report_of_another_length_than_the_interval_has_a_note(
    interval: float | None, elapsed: float, notes: list[str]
) -> None:
    """As after ^C, or after the machine was suspended."""
    stream = io.StringIO()
    TextRenderer(stream, interval=interval).write(PerCpuView().table(sample(elapsed=elapsed)))
    assert stream.getvalue().splitlines()[3:] == notes


@pytest.mark.parametrize(
    ("headings", "texts"),
    [
        ([("a", ""), ("b", "")], ["a", "b"]),
        ([("a", "g"), ("b", "g"), ("c", "")], ["g(a", "b)", "c"]),
        ([("a", "g")], ["g(a)"]),
        ([("a", "g"), ("b", "h")], ["g(a)", "h(b)"]),
        ([], []),
    ],
)
def test_neighbouring_columns_of_a_group_share_its_name(
    headings: list[tuple[str, str]], texts: list[str]
) -> None:
    assert heading_texts(Heading(label, label, group) for label, group in headings) == texts


def test_a_cell_without_a_value_is_a_dash() -> None:
    stream = io.StringIO()
    headings = (Heading("a", "a"), Heading("b", "b"))
    TextRenderer(stream).write(Table("", 1, "x64", "count", headings, (Row((1, None)),)))
    assert stream.getvalue() == "a b\n1 -\n"


@pytest.mark.parametrize(
    "wide", ["東京タワー", "\uff57\uff45\uff42", "😀x", "e\u0301te\u0301", "\u1112\u1161\u11ab"]
)
def test_wide_names_keep_columns_aligned(wide: str) -> None:
    stream = io.StringIO()
    headings = (Heading("vm", "vm", left=True), Heading("n", "n"))
    rows = tuple(Row((name, 7)) for name in ("web", wide, wide * 2, "\x1b"))
    TextRenderer(stream).write(Table("", 1, "x64", "count", headings, rows))
    (end,) = {wcswidth(line) for line in stream.getvalue().splitlines()}
    assert end == max(wcswidth(wide * 2), len("\\x1b")) + len(" 7")


def test_separators_are_between_columns_in_every_line() -> None:
    stream = io.StringIO()
    headings = (Heading("a", "a"), Heading("b", "bb", after="|"), Heading("c", "c", after=":"))
    table = Table("", 1, "x64", "count", headings, (Row((10, 2, None)),))
    TextRenderer(stream).write(table)
    assert stream.getvalue() == " a | bb : c\n10 |  2 : -\n"


def test_numbers_that_identify_a_row_do_not_make_it_busy(terminal: Terminal) -> None:
    headings = (Heading("pid", "pid"), Heading("vcpu", "vcpu"), Heading("n", "n"))
    rows = (Row((1, 1, 0)), Row((1, 0, 1)))
    TextRenderer(terminal).write(Table("", 1, "x64", "count", headings, rows, key_columns=2))
    _, idle, busy = terminal.getvalue().splitlines()
    assert idle.startswith(DIM)
    assert "\x1b" not in busy


@given(SAMPLES)
def test_every_line_of_a_report_is_as_wide_as_its_header(of: Sample) -> None:
    lines = [line for line in written(of, total=True) if not line.startswith("# ")]
    assert {len(line) for line in lines} == {len(lines[0])}


def test_notes_are_escaped() -> None:
    (*_, note) = written(sample(notes=("\x1b[2J\nnext line, escaped: \\t",)))
    assert note == r"# \x1b[2J\nnext line, escaped: \t"
