"""``kstats explain`` from the command line: no root, no bcc, no KVM."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator

from kstats.arch import lookup
from kstats.arch.base import Category
from kstats.cli import main


def explain(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_it_says_everything_about_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    text = explain(capsys, "ept_violation")
    for part in ("vmx:48 (0x30)", "column ept", "category memory", "causes:", "remedies:", "SDM"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_column_is_shown_as_in_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert "column msr(wr) = msr_wr, category register" in explain(capsys, "msr:wr")


def test_a_column_or_a_category_lists_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    heads = [line for line in explain(capsys, "spin").splitlines() if line and line[0] != " "]
    assert [head.split()[0] for head in heads] == ["PAUSE_INSTRUCTION", "pause"]
    assert "npf" in explain(capsys, "ept", "--isa", "svm")


def heads(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line and line[0] != " "]


@pytest.mark.parametrize("word", ["io", "hypercall", "interrupt", "other"])
def test_a_word_that_is_a_name_and_a_group_means_both(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = [json.loads(line) for line in explain(capsys, word, "-f", "json").splitlines()]
    assert len({o["isa"] for o in objects}) > 1
    codes = [(o["isa"], o["code"], o["qualifier"]) for o in objects]
    assert len(codes) == len(set(codes))
    grouped = [
        (isa.name, code)
        for isa in lookup.isas()
        for code, reason in isa.reasons.items()
        if word in (reason.column, reason.category)
    ]
    assert len(codes) >= len(grouped)


def test_a_column_may_be_written_as_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"MSR_READ", "msr:rd"} <= set(heads(explain(capsys, "MSR(rd)")))
    assert heads(explain(capsys, "inst(io)", "--isa", "vmx")) == ["IO_INSTRUCTION"]
    assert "EPT_VIOLATION" not in heads(explain(capsys, "svm:ept"))
    assert "npf" in heads(explain(capsys, "svm:ept"))


def test_json_has_an_object_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    objects = [json.loads(line) for line in explain(capsys, "124", "-f", "json").splitlines()]
    assert [(o["isa"], o["code"], o["qualifier"], o["reason"]) for o in objects] == [
        ("svm", 124, 0, "msr"),
        ("svm", 124, 1, "msr:rd"),
        ("svm", 124, 2, "msr:wr"),
    ]
    assert objects[2]["causes"]


def test_an_unknown_code_is_called_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not in the tables" in explain(capsys, "vmx:0x99")


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["EPT_VIOLATON"], "unknown exit reason 'EPT_VIOLATON'", "did you mean EPT_VIOLATION"),
        (["999999"], "unknown exit reason '999999'", "kstats arch lists every name"),
        (["--search", "zebra"], "no reason matches 'zebra'", "use fewer words"),
        (["--search", ""], "no reason matches ''", "use fewer words"),
        (
            ["48", "--search", "x"],
            "--search cannot be combined with REASON",
            "use only one of them",
        ),
        (["48", "--isa", "z80"], "unknown ISA 'z80'", "known: vmx, svm, arm64"),
    ],
)
def test_unknown_reasons_are_refused(
    words: list[str], said: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    line, hint_line = err.splitlines()
    assert line == f"kstats: {said}"
    assert hint in hint_line


def test_without_a_reason_it_lists_the_categories_and_the_reasons_that_have_advice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = explain(capsys)
    assert [head.rstrip(":") for head in heads(text) if head.endswith(":")] == list(Category)
    assert re.search(r"^  svm +hlt idle-halt$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 100
    objects = [json.loads(line) for line in explain(capsys, "-f", "json").splitlines()]
    assert all(o["causes"] for o in objects)
    assert {o["category"] for o in objects} == set(Category)
    assert "vmx" not in explain(capsys, "--isa", "svm")


def test_search_lists_reasons_that_have_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    first = explain(capsys, "--search", "timer").splitlines()[0]
    assert first.split()[:3] == ["vmx", "PREEMPTION_TIMER", "interrupt"]
    assert explain(capsys, "--search", "npf page", "--isa", "svm").split()[:2] == ["svm", "npf"]
    lines = explain(capsys, "--search", "npf", "--isa", "svm", "-f", "json").splitlines()
    objects = [json.loads(line) for line in lines]
    assert [o["reason"] for o in objects if "reason" in o] == ["npf"]
    rows = [line.split() for line in explain(capsys, "--search", "halt").splitlines()]
    assert ["-", "halt_exits", "-"] in [row[:3] for row in rows]


def test_a_word_that_is_not_a_reason_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = explain(capsys, "KVM_EXIT_IO")
    assert text.startswith("KVM_EXIT_IO  why KVM_RUN returned to the VMM (2), not an exit reason")
    assert "exit reasons: vmx IO_INSTRUCTION; svm io" in text
    assert "see Linux include/trace/events/kvm.h" in explain(capsys, "kvm_mmio")
    line = "extra data[0]: 0x0000000080000b0e"
    assert explain(capsys, line).startswith(f"{line}  message\n")
    text = explain(capsys, "vmx:0x4000030")
    assert "bit 26: a bus lock was detected" in text
    assert max(map(len, explain(capsys, "timer", "0x6e0", "#PF").splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("VMX 48", "EPT_VIOLATION  Intel VMX, vmx:48"),
        ("svm 0x400", "npf  AMD SVM, svm:1024"),
        ("#GP(0)", "#GP  exception 13"),
    ],
)
def test_a_code_after_its_isa_and_an_exception_with_its_error_code(
    words: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(capsys, words).startswith(first)


def test_terms_in_json_match_their_schema(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((files("kstats.explain") / "term.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    words = ("halt_exits", "KVM_EXIT_IO", "0x6e0", "AVIC", "KVM internal error. Suberror: 1")
    objects = [json.loads(line) for line in explain(capsys, *words, "-f", "json").splitlines()]
    terms = [o for o in objects if "isa" not in o]
    assert len(terms) >= len(words)
    for term in terms:
        Draft202012Validator(schema).validate(term)


def test_words_of_one_text_need_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    words = "KVM: entry failed, hardware error 0x80000021"
    assert explain(capsys, *words.split()) == explain(capsys, words)
    assert heads(explain(capsys, "ept", "violation")) == ["EPT_VIOLATION"]


def piped(text: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "kstats", "explain", "-", *words]
    return subprocess.run(command, input=text, capture_output=True, check=False, timeout=300)


def test_lines_are_read_from_standard_input() -> None:
    done = piped(
        b"[1.9] kvm [97]: vcpu6, guest rIP: 0xff vmx: unexpected exit reason 0x3\r\n"
        b"\n"
        b"kvm_exit: reason HLT rip 0x0\nkvm_exit: reason HLT rip 0x0\n"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [head for head in heads(done.stdout.decode()) if head.isupper()] == [
        "INIT_SIGNAL",
        "HLT",
    ]


def test_what_is_not_recognized_is_reported_after_the_rest() -> None:
    done = piped(b"HLT\n\xff\x1b[31mlorem\nipsum dolor\n")
    assert done.returncode == 2
    assert heads(done.stdout.decode())[:2] == ["HLT", "hlt"]
    assert b"2 lines or words not recognized, the first: " in done.stderr
    assert b"\x1b" not in done.stderr


def test_an_empty_standard_input_is_an_error() -> None:
    done = piped(b"")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"standard input is empty" in done.stderr
