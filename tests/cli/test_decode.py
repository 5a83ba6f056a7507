"""``kstats decode`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kstats.cli import main
from tests.cli import process

DATA = Path(__file__).parent.parent / "data" / "decode" / "svm"


def decode(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["decode", *words]) == 0
    return capsys.readouterr().out


def test_a_table_by_thread_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    lines = decode(capsys, str(DATA / "perf.txt")).splitlines()
    assert lines[0].split() == ["tid", "reason", "count", "share%"]
    assert lines[1].split()[1:3] == ["cpuid", "17"]


def test_the_view_per_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    lines = decode(capsys, str(DATA / "ftrace.txt"), "--view", "cpu", "--total").splitlines()
    heads = lines[0].replace("(", " ").replace(")", " ").split()
    total = dict(
        zip((h for h in heads if h not in ("msr", "inst")), lines[-1].split(), strict=True)
    )
    kept = json.loads((DATA / "kstats.json").read_text(encoding="utf-8"))
    assert int(total["vm_exit"]) == int(total["vm_entry"]) == sum(row["count"] for row in kept)
    assert total["cpuid"] == "34"


def test_json_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(decode(capsys, str(DATA / "perf-pid.txt"), "-f", "json", "--by", "pid"))
    (row,) = report["rows"]
    assert row["pid"] > 0
    assert decode(capsys, str(DATA / "kvm_stat.csv"), "-f", "csv").startswith("time,elapsed,reason")


def test_rate_and_interval(capsys: pytest.CaptureFixture[str]) -> None:
    text = decode(capsys, str(DATA / "kvm_stat.log"), "--interval", "4", "--timestamps", "--rate")
    assert text.count("T0") >= 2


def test_standard_input_in_a_pipe() -> None:
    status, out, err = process.shell(
        f"cat {DATA}/perf.txt | $KSTATS decode - --by reason --top 1 && echo 12 | "
        "$KSTATS decode - --isa vmx",
        via=("-m", "kstats"),
    )
    assert (status, err) == (0, "")
    assert "cpuid" in out
    assert "HLT" in out


def test_a_closed_standard_input_is_reported() -> None:
    told = process.shell("$KSTATS decode - <&-", via=("-m", "kstats"))
    assert told == (1, "", "kstats: cannot read standard input: it is closed\n")


def test_a_reader_that_goes_away_is_no_error_of_reading() -> None:
    script = f"$KSTATS decode {DATA}/perf.txt > >(exec <&-)"
    assert process.shell(script, via=("-m", "kstats")) == (0, "", "")


def test_an_error_in_the_middle_of_a_file_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # /proc/self/mem is opened, and has nothing at address 0.
    assert main(["decode", "/proc/self/mem"]) == 1
    assert capsys.readouterr().err == "kstats: cannot read /proc/self/mem: Input/output error\n"


def test_malformed_lines_are_reported_and_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trace"
    file.write_bytes((DATA / "perf.txt").read_bytes() + b"rubbish\x1b[2J\n")
    assert "# 1 line was not understood and not counted; the first is" in decode(capsys, str(file))
    assert main(["decode", str(file), "-f", "csv"]) == 0
    assert "kstats: 1 line was not understood" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("-f", "csv"), ("-o", "k.jsonl")])
def test_a_large_share_that_was_not_understood_has_its_own_status(
    options: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list").write_text("EPT_VIOLATION 90\nEPT_NONSENSE 10\n", encoding="utf-8")
    assert main(["decode", "list", *options]) == 8
    out, err = capsys.readouterr()
    assert ("EPT_VIOLATION" in out) != ("-o" in options)
    assert err.splitlines()[:2] == [
        (
            "kstats: 10 of 100 exits were not understood and are not counted;"
            " the first is line 2: EPT_NONSENSE 10"
        ),
        "kstats: hint: it was read as codes of vmx; see --from and --isa",
    ]


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("TID VCPU reason count\n7 0 HLT 3\n", "tid reason"),
        ("VM VCPU reason count\nweb 0 HLT 3\n", "vcpu reason"),
        ("VM reason count\nweb HLT 3\n", "vm  reason"),
        ("reason count\nHLT 3\n", "reason"),
    ],
)
def test_the_default_axes_are_those_of_the_input(
    text: str, axes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table").write_text(text)
    assert main(["decode", str(tmp_path / "table"), "--isa", "vmx"]) == 0
    assert capsys.readouterr().out.splitlines()[0].strip().startswith(f"{axes} count")


def test_times_of_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are shown, but a recording cannot hold times without a distribution."""
    tables = DATA.parent.parent / "tables"
    report = str(tables / "perf-kvm-stat-report-vmx.txt")
    assert main(["decode", report, "--latency", "--top", "1", "-f", "json"]) == 0
    first, *_ = json.loads(capsys.readouterr().out)["rows"]
    assert first == {
        "reason": "EPT_VIOLATION",
        "count": 6312,
        "total_ns": 6312 * 8900,
        "share": 53.107,
        "min_ns": 500,
        "mean_ns": 8900,
        **dict.fromkeys(("p50_ns", "p90_ns", "p99_ns")),
        "max_ns": 26426070,
    }
    assert main(["decode", report, "-o", str(tmp_path / "r.jsonl")]) == 0
    assert main(["exits", "--input", str(tmp_path / "r.jsonl"), "--by", "reason"]) == 0
    out, _ = capsys.readouterr()
    assert "EPT_VIOLATION" in out
    assert "the times of exits are not recorded: they have no distribution" in out
    assert main(["decode", str(tables / "names-and-counts.txt"), "--latency"]) == 1
    assert "no times of exits can be shown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "texts"),
    [
        (["/nonexistent"], 1, ("cannot read /nonexistent: No such file or directory", "")),
        (["/"], 1, ("cannot read /: Is a directory", "")),
        ([""], 1, ("no file given", "- is standard input")),
        (["kvm_stat.csv", "--view", "cpu"], 2, ("kvm_stat has no CPUs", "leave out")),
        (["perf.txt", "--isa", "z80"], 2, ("unknown ISA 'z80'", "known: vmx, svm, arm64")),
        (["perf.txt", "--by", "colour"], 2, ("unknown axis 'colour'", "axes: cpu")),
        (["perf.txt", "--interval", "0"], 2, ("--interval '0' is not between", "give seconds")),
        (["perf.txt", "--from", "kvmexit"], 1, ("cannot detect the ISA of the exits", "--isa")),
        (["kstats.json"], 1, ("none of ", "name the tool: --from perf|ftrace|")),
        (["perf.txt", "-f", "xml"], 2, ("argument -f/--format: invalid choice: 'xml'", "--help")),
        (["codes", "--rate"], 2, ("codes has no times", "leave out --rate")),
        (["codes", "--interval", "1"], 2, ("codes has no times", "leave out --interval")),
        (["perf.txt", "--total"], 2, ("--total needs --view cpu", "add --view cpu")),
        (
            ["perf.txt", "--view", "cpu", "--top", "3"],
            2,
            ("cannot be combined with --top", "only"),
        ),
        (
            ["perf.txt", "-o", "x.jsonl", "--by", "tid"],
            2,
            ("--output cannot be combined with --by", "only one"),
        ),
        (
            ["perf.txt", "-o", "x.jsonl", "--timestamps"],
            2,
            ("--output cannot be combined with --timestamps", "only one"),
        ),
    ],
)
def test_invalid_inputs_and_options_are_refused(
    words: list[str],
    status: int,
    texts: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "codes").write_text("npf\n")
    name, *options = words
    place = tmp_path if name == "codes" else DATA
    assert main(["decode", str(place / name) if name else "", *options]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kstats: ")
    assert texts[0] in err.splitlines()[0]
    assert texts[1] in err


def test_a_trace_without_cpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trace"
    file.write_text("kvm:kvm_exit: vcpu 0 reason HLT rip 0x1\n")
    assert main(["decode", str(file), "--view", "cpu"]) == 1
    assert "the trace has no CPUs" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["trace.jsonl", "trace.jsonl.zst"])
def test_a_recording_shows_what_decode_shows(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, source = str(tmp_path / name), str(DATA / "ftrace.txt")
    by = ("--by", "cpu,pid,tid,vcpu,reason", "-f", "json")
    assert decode(capsys, source, "-o", kept) == ""
    assert main(["exits", "--input", kept, *by]) == 0
    assert capsys.readouterr().out == decode(capsys, source, *by)
    assert main(["decode", source, "-o", kept]) == 2
    assert f"{kept} exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"), [("k.jsonl", "a kstats recording"), ("k.jsonl.zst", "a compressed file")]
)
def test_what_kstats_wrote_is_for_other_commands(
    name: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / name)
    decode(capsys, str(DATA / "perf.txt"), "-o", kept)
    assert main(["decode", kept]) == 1
    complained, hint = capsys.readouterr().err.splitlines()
    assert complained == f"kstats: this is {says}"
    assert "kstats exits --input FILE" in hint


def test_reports_as_json_are_not_for_decoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "k.json"
    report.write_text(decode(capsys, str(DATA / "perf.txt"), "-f", "json"))
    assert main(["decode", str(report)]) == 1
    assert "this is a JSON report of kstats" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["perf.txt", "ftrace.txt"])
def test_exits_of_another_isa_are_an_error_not_an_empty_table(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", str(DATA / name), "--isa", "arm64"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no exits found when read as" in err
    assert "of arm64" in err


def test_a_recording_without_cpus_says_what_was_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / "k.jsonl")
    decode(capsys, str(DATA / "kvm_stat.csv"), "-o", kept)
    assert main(["exits", "--input", kept, "--by", "vm"]) == 2
    assert "exits by thread were not recorded" in capsys.readouterr().err
    assert main(["exits", "--input", kept]) == 0
    assert "hypercall" in capsys.readouterr().out


def test_the_time_of_a_table_without_times_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map").write_text("@[48]: 1234\n")
    words = (str(tmp_path / "map"), "--isa", "vmx", "-f")
    assert json.loads(decode(capsys, *words, "json"))["time"] is None
    assert decode(capsys, *words, "csv").splitlines()[1].startswith(",")


def test_a_list_of_codes_becomes_a_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codes").write_text("npf 5\n0x72\n")
    kept = str(tmp_path / "k.jsonl")
    decode(capsys, str(tmp_path / "codes"), "--isa", "svm", "-o", kept)
    assert main(["exits", "--input", kept]) == 0
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["npf", "5", "83.3"],
        ["cpuid", "1", "16.7"],
    ]
    assert (
        err
        == f"kstats: {kept}: exits by thread were not recorded; exits are shown without threads\n"
    )
