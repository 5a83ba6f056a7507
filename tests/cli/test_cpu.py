"""kstats -v from its words to its output, with counts from a script."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from kstats import recording
from kstats.cli import live_cpu, main
from tests import trees
from tests.cli import scripted
from tests.cli.scripted import COUNT
from tests.recording.samples import HEADER
from tests.render.test_json import SCHEMA
from tests.render.test_text import X64_HEADER
from tests.samples import sample
from tests.views.test_percpu import on_two_sockets


@pytest.fixture(autouse=True)
def _scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_cpu, "Target", scripted.Target)
    monkeypatch.setattr(live_cpu, "Collector", scripted.Collector)
    host = trees.recorded(tmp_path, trees.cpus("0-1"))
    monkeypatch.setattr(live_cpu, "Host", lambda: host)


def run(words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that ``kstats -v`` prints."""
    assert main(["-v", *words.split()]) == 0
    return capsys.readouterr().out.splitlines()


def test_interval_and_count_are_operands_as_in_vmstat(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run("0.02 3", capsys)
    assert lines[0] == X64_HEADER
    assert sum(line.startswith("  0 ") for line in lines) == 3


def test_or_options_as_in_fuchsia(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run("-d 0.02 -n 2 -t", capsys)
    stamps = [line for line in lines if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", line)]
    assert lines[0] == stamps[0]
    assert len(stamps) == 2


def test_operand_and_option_may_be_mixed(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(line.startswith("  0 ") for line in run("0.02 -n 2", capsys)) == 2


def test_rows_are_sorted_and_limited(capsys: pytest.CaptureFixture[str]) -> None:
    header, first, others, *_ = run("0.02 1 --top 1 --sort vm_entry", capsys)
    assert header.split() == X64_HEADER.split()
    assert (first.split()[0], others.split()[0]) == ("0", "(others)")


def test_a_column_to_sort_by_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cpu", "0.02", "1", "--sort", "npf"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "kstats: unknown column 'npf'"
    assert "columns: cpu, vm_entry, vm_exit, ints, " in hint


def test_cpus_of_a_recording_are_summed_by_socket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recording.Writer(str(tmp_path / "with.jsonl"), HEADER) as writer:
        writer.write(on_two_sockets(sample({("vmx", 48): {0: 3, 1: 5, 2: 4}}, cpus=(0, 1, 2, 3))))
    assert main(["cpu", "--by", "socket", "--input", str(tmp_path / "with.jsonl")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["socket", "vm_entry", "vm_exit"],
        ["0", "0", "7"],
        ["1", "0", "5"],
    ]


def test_a_recording_without_topology_cannot_be_summed(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[1] / "data/recordings/1-svm.jsonl"
    assert main(["cpu", "--by", "node", "--input", str(path)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "kstats: the recording has no CPU topology"
    assert "leave out --by node" in hint


def test_entries_that_are_not_counted_are_absent_and_not_zero(
    capsys: pytest.CaptureFixture[str],
) -> None:
    header, row, _, total, *_ = run("0.02 1 --no-entries --total", capsys)
    assert header.split() == X64_HEADER.split()
    assert row.split()[:3] == ["0", "-", "7"]
    assert total.split()[:2] == ["total", "-"]
    (line,) = run("0.02 1 --no-entries -f json", capsys)
    report = json.loads(line)
    jsonschema.validate(report, SCHEMA, jsonschema.Draft202012Validator)
    assert (report["rows"][0]["vm_entry"], report["rows"][0]["vm_exit"]) == (None, COUNT)


def test_entries_that_are_not_counted_cannot_sort(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cpu", "--no-entries", "--sort", "vm_entry"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "kstats: vm_entry is not counted"
    assert "leave out --no-entries" in hint


def test_json_is_one_valid_object_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [json.loads(line) for line in run("0.02 2 -f json --total", capsys)]
    assert len(reports) == 2
    for report in reports:
        jsonschema.validate(report, SCHEMA, jsonschema.Draft202012Validator)
        assert report["total"]["vm_exit"] == COUNT + 1
        assert report["rows"][0]["exits"][0]["reason"] == "EPT_VIOLATION"


def test_csv_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run("0.02 2 -f csv --nonzero --cpus 0", capsys)
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [(row["cpu"], row["ept"]) for row in rows] == [("0", str(COUNT))] * 2
    assert float(rows[0]["elapsed"]) >= 0.02


def test_rates_use_the_time_that_passed(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = run("0.1 1 -f json --rate", capsys)
    report = json.loads(line)
    assert report["elapsed"] >= 0.1
    expected = COUNT / report["elapsed"]
    assert report["rows"][0]["vm_exit"] == pytest.approx(expected, rel=1e-3)


def test_reasons_replace_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    header, row, *_ = run("0.02 1 --reasons", capsys)
    assert header.split() == ["cpu", "vm_entry", "vm_exit", "EPT_VIOLATION", "other"]
    assert row.split() == ["0", "7", "7", "7", "0"]


def test_cpus_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run("0.02 1 --cpus 1 --total", capsys)
    assert [line.split()[0] for line in lines[1:3]] == ["1", "total"]
