"""``kstats why``: findings in recordings and in what other tools wrote, and what scripts get."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import attrs
import jsonschema
import pytest

from kstats import csource, recording
from kstats.cli import main
from kstats.cli.why import FOUND
from kstats.model import Sample
from kstats.vms.identity import Kind, Vm
from kstats.why.render import FORMATS
from tests import trees
from tests.why.made import ISAS, VM, guest, write

EXAMPLES = Path(__file__).parents[2] / "examples" / "recordings"
SCHEMA = Path(csource.__file__).parent / "why" / "schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
STORM = guest("vmx", kind="msr", details={"MSR_WRITE": {write(0x6E0): 6000}})
CALM = guest("vmx", {"HLT": 100, "MSR_WRITE": 200})
LOOP = guest("vmx", {"CPUID": 20_000})


def recorded(path: Path, samples: Iterable[Sample]) -> str:
    """Write a recording of samples, one after the other."""
    samples = list(samples)
    isa = samples[0].isa
    header = recording.describe(trees.x64(path.parent / "host"), ISAS[isa][0], [isa])
    with recording.Writer(path, header) as writer:
        for number, sample in enumerate(samples):
            later = sample.time + number * sample.elapsed
            writer.write(attrs.evolve(sample, time=later))
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, list[str]]:
    """Return the exit status, standard output, and the lines of standard error."""
    status = main(["why", *words])
    out, err = capsys.readouterr()
    return status, out, [line.removeprefix("kstats: ") for line in err.splitlines()]


@pytest.mark.parametrize("name", ["vmx", "svm", "arm64"])
def test_usual_exits_are_not_a_finding(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "--input", str(EXAMPLES / f"{name}.jsonl"))
    assert (status, err) == (0, [])
    assert out.startswith("nothing unusual, 1")
    assert " rules not checked: 2 VMs, " in out
    assert "not checked without vCPU times (kstats record --time): vcpu-starved" in out


def test_a_finding_has_proof_cost_certainty_remedies_and_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = said(capsys, "--input", recorded(tmp_path / "a.jsonl", [STORM]))
    assert (status, err) == (0, [])
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0].startswith("1 finding, ")
    assert lines[0].endswith(" rules not checked: 1 VM, 120,000 exits, 10.0 s")
    assert "1. warning: web: The guest arms its timer very often [timer-storm]" in lines
    proof = "evidence write MSR_IA32_TSC_DEADLINE(0x6e0): 6,000 exits per vCPU-second"
    assert proof in lines
    assert "cost 1.2 % of the vCPUs' time (estimated from the number of exits)" in lines
    assert "certain the exits name the register" in lines
    assert any(line.startswith("change find the program") for line in lines)
    assert "more kstats exits --detail msr --top 10 --vm web 10" in lines


def test_json_is_an_object_by_the_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "a.jsonl", [STORM])
    _, out, _ = said(capsys, "--input", path, "-f", "json")
    made = json.loads(out)
    VALIDATOR.validate(made)
    (finding,) = made["findings"]
    assert (finding["rule"], finding["vm"], finding["pid"]) == ("timer-storm", "web", VM.pid)
    assert (finding["value"], finding["reason"]) == (6000, "MSR_WRITE")
    _, out, _ = said(capsys, "--input", str(EXAMPLES / "svm.jsonl"), "-f", "json")
    VALIDATOR.validate(json.loads(out))


def test_the_schema_is_valid_and_refuses_what_is_wrong() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    assert not VALIDATOR.is_valid({"findings": []})


def test_a_name_cannot_become_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = Vm(7, 1, Kind.QEMU, "[a](http://x)`@all`<b>\x1b[2J")
    path = recorded(tmp_path / "a.jsonl", [guest("svm", {"cpuid": 6000}, vm=evil)])
    _, out, _ = said(capsys, "--input", path, "-f", "markdown")
    assert "\x1b" not in out
    # Escaped in text; in a command it is code, between more backquotes than it has itself.
    text, _, command = out.partition("more: ")
    assert r"\[a\]\(http\://x\)\`\@all\`\<b\>" in text
    assert command.startswith("`` kstats exits ")
    assert command.splitlines()[0].endswith(" ``")


@pytest.mark.parametrize("name", FORMATS)
def test_the_exit_status_depends_on_the_severity(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "a.jsonl", [STORM])
    for level, status in (("info", FOUND), ("warning", FOUND), ("critical", 0)):
        assert said(capsys, "--input", path, "--fail-on", level, "-f", name)[0] == status
    path = recorded(tmp_path / "b.jsonl", [CALM])
    assert said(capsys, "--input", path, "--fail-on", "info")[0] == 0


def test_a_long_recording_is_judged_in_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten bad seconds of a night are found, with their time."""
    path = recorded(tmp_path / "a.jsonl", [*[CALM] * 5, LOOP, *[CALM] * 6])
    _, out, _ = said(capsys, "--input", path)
    assert "[cpuid-loop]" in out
    assert "in 1 of 12 parts of the recording" in out
    assert "2026-01-31T12:00:40Z" in out
    # In an hour it is too little to matter.
    assert "nothing unusual" in said(capsys, "--input", path, "3600")[1]


def test_vms_are_selected_by_name_pid_and_glob(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = guest("vmx", {"CPUID": 6000}, vm=Vm(5000, 1, Kind.QEMU, "db1"))
    both = attrs.evolve(
        STORM, exits={**STORM.exits, **other.exits}, threads={**STORM.threads, **other.threads}
    )
    path = recorded(tmp_path / "a.jsonl", [both])
    for words, rules in (
        ([], ["timer-storm", "cpuid-loop"]),
        (["web"], ["timer-storm"]),
        (["db*"], ["cpuid-loop"]),
        (["5000", "10"], ["cpuid-loop"]),
        (["web", "db1"], ["timer-storm", "cpuid-loop"]),
    ):
        _, out, _ = said(capsys, *words, "--input", path, "-f", "json")
        assert {one["rule"] for one in json.loads(out)["findings"]} == set(rules)
    status, out, err = said(capsys, "mail", "--input", path)
    assert (status, out) == (1, "")
    assert err == ["no VM matches 'mail'", "hint: known: web(4000), db1(5000)"]


def test_a_number_alone_is_the_duration(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = said(capsys, "43210")
    assert status == 2
    assert err == [
        "the duration '43210' is longer than 3600 seconds",
        "hint: to name a process, add the seconds: kstats why 43210 10",
    ]


def test_tables_of_other_tools_are_of_the_given_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "counts"
    path.write_text("CPUID 200000\nHLT 100\n")
    _, out, _ = said(capsys, "--input", str(path), "--isa", "vmx", "10")
    assert "CPUID: 20,000 exits per vCPU-second" in out
    assert "all VMs: A program in the guest executes CPUID very often [cpuid-loop]" in out
    _, out, _ = said(capsys, "--input", str(path), "--isa", "vmx", "1000")
    assert "[cpuid-loop]" not in out
    # Nobody knows whether 200,000 exits are many.
    _, out, _ = said(capsys, "--input", str(path), "--isa", "vmx")
    assert "[cpuid-loop]" not in out
    assert "not checked without rates (" in out


def test_times_without_a_distribution_have_no_percentiles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times of perf kvm stat have a mean and a maximum: the median is unknown, not 0."""
    path = tmp_path / "perf"
    path.write_text(
        "VM-EXIT  Samples  Samples%  Time%  Min Time  Max Time  Avg time\n\n"
        "VMCALL  14089  66.67%  66.67%  1.32us  84.99us  2.14us ( +- 0.90% )\n"
        "EPT_VIOLATION  7044  33.33%  33.33%  0.50us  26426.07us  8.90us ( +- 9.00% )\n"
    )
    _, out, _ = said(capsys, "--input", str(path), "1")
    assert "mean 2.14us, longest 85.0us" in out
    assert "median" not in out
    assert "not checked without latencies (kstats record --latency): slow-memory-faults" in out


def test_three_lines_of_a_trace_are_not_a_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace"
    line = "qemu-system-x86 100 [001] 10.00{}: kvm:kvm_exit: reason CPUID rip 0x1 info 0 0\n"
    path.write_text("".join(line.format(n) for n in range(1, 4)))
    _, out, _ = said(capsys, "--input", str(path))
    assert "nothing unusual" in out
    assert "not checked without rates (" in out


def test_a_file_that_is_not_understood_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nonsense"
    path.write_text("hello\n")
    assert said(capsys, "--input", str(path))[0] == 1
    status, _, err = said(capsys, "--input", str(tmp_path / "none"))
    assert status == 1
    assert err[0].startswith("cannot read ")
