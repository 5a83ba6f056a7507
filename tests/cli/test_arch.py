"""``kstats arch`` from the command line."""

from __future__ import annotations

import csv
import io
import json

import pytest

from kstats import arch as arches
from kstats.cli import main


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["arch", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_the_table_has_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys)
    for arch in arches.arches():
        for isa in arch.isas:
            assert f"{isa.title} ({isa.name})" in text
            assert all(reason.name in text for reason in isa.reasons.values())


def test_csv_has_a_line_for_each_code(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(capsys, "svm", "-f", "csv"))))
    svm = arches.isa("svm")
    assert {(int(r["qualifier"]) << 32) + int(r["code"]): r["reason"] for r in rows} == {
        code: reason.name for code, reason in svm.reasons.items()
    }


def test_json_has_a_line_for_each_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in shown(capsys, "-f", "json").splitlines()]
    assert [line["arch"] for line in lines] == [arch.name for arch in arches.arches()]
    one = json.loads(shown(capsys, "svm", "-f", "json"))
    assert [isa["isa"] for isa in one["isas"]] == ["svm"]


@pytest.mark.parametrize("name", ["ebpf_exporter", "bpftrace"])
def test_shapes_of_one_isa(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "EPT_VIOLATION" in shown(capsys, "vmx", "-f", name)
    assert "SYS64" in shown(capsys, "arm64", "-f", name)
    assert main(["arch", "x64", "-f", name]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"kstats: format {name} needs a single ISA",
        "kstats: hint: name one: vmx, svm",
    ]


def test_an_unknown_isa_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arch", "z80"]) == 2
    assert "unknown ISA 'z80'" in capsys.readouterr().err
