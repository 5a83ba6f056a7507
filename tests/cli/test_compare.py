"""``kstats compare`` with recordings at hand: what it says, and what a script can do with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from kstats import recording
from kstats.arch.base import Category
from kstats.cli import main
from kstats.cli.compare import CROSSED
from kstats.compare.render import FORMATS
from kstats.model import Sample
from tests import trees
from tests.views.hosts import steady

HLT, IO, WFX = ("vmx", 12), ("vmx", 30), ("arm64", 1)


def recorded(path: Path, samples: Iterable[Sample], arch: str = "x64", isa: str = "vmx") -> None:
    header = recording.describe(trees.x64(path.parent / "host"), arch, [isa])
    with recording.Writer(path, header) as writer:
        for sample in samples:
            writer.write(sample)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with recordings: before, after (twice the HLTs, some I/O) and arm."""
    monkeypatch.chdir(tmp_path)
    recorded(tmp_path / "before.jsonl", steady(HLT, [10] * 20))
    recorded(tmp_path / "after.jsonl", [*steady(HLT, [40] * 20), *steady(IO, [4] * 20)])
    recorded(tmp_path / "arm.jsonl", steady(WFX, [10] * 20, arch="arm64"), "arm64", "arm64")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], words: str) -> tuple[int, str, list[str]]:
    """Exit status, output, and the complaints."""
    status = main(["compare", *words.split()])
    out, err = capsys.readouterr()
    return status, out, [line.removeprefix("kstats: ") for line in err.splitlines()]


@pytest.mark.usefixtures("files")
def test_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "before.jsonl after.jsonl")
    assert (status, err) == (0, [])
    rows = [line.split() for line in out.splitlines()]
    assert ["idle", "before", "10", "10", "10", "10", "3.33", "100.0", "1.00"] in rows
    assert ["idle", "after", "20", "0", "0", "40", "6.67", "90.9", "2.00"] in rows
    assert ["io", "after", "2", "0", "0", "4", "0.667", "9.1", "new"] in rows


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_every_recording(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, f"before.jsonl arm.jsonl -f {name}")
    assert status == 0
    assert "before" in out
    assert "arm" in out
    assert bool(err) == (name == "csv")  # which has no room for notes


@pytest.mark.usefixtures("files")
def test_json_is_one_object_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "before.jsonl after.jsonl -f json --by cpu --reasons")
    made = json.loads(out)
    assert out.count("\n") == 1
    assert made["by"] == "cpu"
    assert {line.get("reason") for line in made["lines"]} == {None, "HLT", "IO_INSTRUCTION"}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "status", "complaints"),
    [
        ("--threshold 3", CROSSED, ["io: after has new per vCPU-second; the threshold is 3"]),
        ("--threshold 3 --least 2.5", 0, []),
        ("--threshold idle=2.5", 0, []),
        (
            "--threshold idle=1.9 --per second",
            CROSSED,
            ["idle: after has 2 times as many per second; the threshold is 1.9"],
        ),
        (
            "--threshold total=2 --threshold io=5",
            CROSSED,
            [
                "io: after has new per vCPU-second; the threshold is 5",
                "all exits: after has 2.2 times as many per vCPU-second; the threshold is 2",
            ],
        ),
    ],
)
def test_a_script_can_fail_when_exits_double(
    words: str, status: int, complaints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = said(capsys, f"before.jsonl after.jsonl {words}")
    assert (found, err) == (status, complaints)
    assert out


@pytest.mark.usefixtures("files")
def test_what_is_impossible_crosses_no_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "after.jsonl arm.jsonl --threshold io=1.1")[0] == 0
    assert said(capsys, "arm.jsonl after.jsonl --threshold io=1.1")[0] == 0


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("", 2, "no source given"),
        ("-f table", 2, "no source given"),
        ("before.jsonl before.jsonl", 2, "'before.jsonl' is given twice"),
        ("before.jsonl nowhere.jsonl", 7, "nowhere.jsonl: No such file or directory"),
        ("before.jsonl --top 3", 2, "--top needs --by"),
        ("before.jsonl --by cpu --top 0", 2, "--top '0' is not a positive integer"),
        ("before.jsonl --by cpu --per vcpu", 2, "--per vcpu cannot be combined with --by cpu"),
        ("before.jsonl --by colour", 2, "argument --by: invalid choice: 'colour'"),
        ("before.jsonl --threshold 1", 2, "invalid threshold '1'"),
        ("before.jsonl --threshold io", 2, "invalid threshold 'io'"),
        ("before.jsonl --threshold io=inf", 2, "invalid threshold 'io=inf'"),
        ("before.jsonl --threshold colour=2", 2, "unknown category 'colour'"),
        ("before.jsonl arm.jsonl --threshold 2 --least x", 2, "invalid rate 'x' for --least"),
        ("before.jsonl live --interval 0", 2, "--interval '0' is not between"),
        ("before.jsonl live --count 0", 2, "--count '0' is not a positive integer"),
        ("before.jsonl --threshold 2", 2, "--threshold has nothing to compare with"),
        (
            "--threshold io=2 --threshold io=3",
            2,
            "--threshold io=3 is given twice for one category",
        ),
        ("before.jsonl --least 5", 2, "--least needs --threshold"),
        ("before.jsonl --interval 5", 2, "--interval needs the source live"),
        ("before.jsonl --count 5", 2, "--count needs the source live"),
        ("before.jsonl --probe raw", 2, "--probe needs the source live"),
        ("--explain io --by vm", 2, "--explain cannot be combined with --by"),
        ("--threshold 2 --explain", 2, "--explain cannot be combined with --threshold"),
        ("--explain colour", 2, "unknown category 'colour'"),
        ("--explain before.jsonl after.jsonl", 2, "unknown category 'before.jsonl'"),
        ("before.jsonl nowhere.jsonl --explain", 2, "--explain cannot be combined with SOURCE"),
    ],
)
def test_invalid_options_are_refused(
    words: str, status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = said(capsys, words)
    assert (found, out) == (status, "")
    assert err[0].startswith(complaint)
    assert len(err) <= 2


def test_recordings_are_opened_before_an_unusable_host_is_reported(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kstats.cli.live.Host", lambda: trees.x64(files / "host", kvm=False))
    assert said(capsys, "live nowhere.jsonl")[0] == 7
    status, out, err = said(capsys, "before.jsonl live")
    assert (status, out) == (4, "")
    assert err[0] == "KVM is not loaded"


def test_a_recording_without_samples_is_no_success(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(files / "none.jsonl", [])
    status, out, err = said(capsys, "before.jsonl none.jsonl")
    assert (status, err) == (0, [])
    assert "# none: the recording has no samples" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("none"))
    assert "-" in row
    assert "1970-01-01" not in " ".join(row)
    made = json.loads(said(capsys, "before.jsonl none.jsonl -f json")[1])
    assert (made["subjects"][1]["begin"], made["subjects"][1]["end"]) == (None, None)
    status, _, err = said(capsys, "before.jsonl none.jsonl --threshold 2")
    assert (status, err) == (1, ["none has no samples: its thresholds were not checked"])
    assert said(capsys, "none.jsonl --by cpu --threshold 2")[::2] == (1, err)


@pytest.mark.usefixtures("files")
def test_a_cpu_is_one_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(said(capsys, "before.jsonl -f json --by cpu")[1])
    assert {subject["cpus"] for subject in made["subjects"]} == {1}


def test_files_of_the_same_name_are_labelled_by_path(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "old").mkdir()
    recorded(files / "old" / "before.jsonl", steady(HLT, [5]))
    _, out, _ = said(capsys, "before.jsonl old/before.jsonl")
    assert "old/before.jsonl" in out


def test_a_file_with_a_hostile_name_does_nothing_to_the_terminal(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "\x1b[31mred.jsonl"
    recorded(files / name, steady(HLT, [90] * 3))
    for extra in ("", "-f csv", "-f markdown", "--threshold 2"):
        main(["compare", "before.jsonl", name, *extra.split()])
        assert "\x1b" not in "".join(capsys.readouterr())


def test_a_recording_that_was_cut_off_is_compared_as_far_as_it_goes(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (files / "after.jsonl").read_bytes()
    (files / "after.jsonl").write_bytes(whole[:-9])
    status, out, err = said(capsys, "before.jsonl after.jsonl")
    assert status == 0
    assert "after" in out
    assert "ends in the middle of line" in err[0]


@pytest.mark.parametrize("name", FORMATS)
def test_of_damaged_recordings_is_compared_what_can_be_read(
    name: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the comparison says about thresholds: half a recording is no success."""
    for path in ("before.jsonl", "after.jsonl"):
        lines = (files / path).read_text().splitlines(keepends=True)
        (files / path).write_text("".join([*lines[:11], "oops\n", *lines[11:]]))
    status, out, err = said(capsys, f"before.jsonl after.jsonl --threshold 2 -f {name}")
    assert status == 7
    assert "after" in out
    assert err[-3].startswith("before.jsonl: line 12: invalid JSON")
    assert err[-2].startswith("after.jsonl: line 12: invalid JSON")
    assert err[-1] == "hint: all other lines were read"
    assert any("all exits: after has" in line for line in err)


def test_explain_has_every_category(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "--explain")
    assert status == 0
    assert [line.split(":")[0] for line in out.splitlines() if line[:1].islower()][:1]
    for category in Category:
        assert f"\n{category}: " in f"\n{out}"
    assert "DABT_LOW is one code for MMIO and for missing memory" in " ".join(out.split())
    one = said(capsys, "--explain io")[1]
    assert one.startswith("io: ")
    assert "hypercall:" not in one


def test_help_mentions_every_option_and_category(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    text = capsys.readouterr().out
    for category in Category:
        assert category in text
    assert f"exit status: {CROSSED}" in text
