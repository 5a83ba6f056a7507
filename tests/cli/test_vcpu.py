"""kstats vcpu and kvmstat: the options, which combine, and help."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from kstats import arch as arches
from kstats import recording
from kstats.arch.kvmstat import COLUMNS
from kstats.cli import kvmstat, live, main, vcpu
from kstats.host import Host
from kstats.model import Exits, Place, Sample
from kstats.vms.identity import Kind, Thread, Vcpu, Vm
from tests import trees

HINT = "leave it out to go on until ^C"


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """An Intel host without KVM: what makes sense fails with status 4."""
    host = trees.x64(tmp_path, kvm=False)
    monkeypatch.setattr(live, "Host", lambda: host)
    return host


def kstats_vcpu(words: list[str]) -> int:
    return main(["vcpu", *words])


COMMANDS = [kstats_vcpu, kvmstat.main]


def complaint(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return [re.sub("^(kstats|kvmstat): (hint: )?", "", line) for line in err.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0"], "interval '0' is not between 0.01 and 86400 seconds"),
        (["soon"], "interval 'soon' is not between 0.01 and 86400 seconds"),
        (["1", "0"], "count '0' is not a positive integer"),
        (["1", "many"], "count 'many' is not a positive integer"),
        (["1", "2", "3"], "unrecognized arguments: 3"),
        (
            ["--source", "perf"],
            "argument --source: invalid choice: 'perf' (choose from 'bpf', 'kernel')",
        ),
    ],
)
def test_invalid_options_are_refused(
    command: Callable[[list[str]], int],
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(words) == 2
    line, hint = complaint(capsys)
    assert line == said
    assert hint


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("-p 1 --vm web", 2, "--vm cannot be combined with --pid"),
        ("-p all", 2, "invalid process ID 'all'"),
        ("--source kernel --probe classic", 2, "--source kernel cannot be combined with --probe"),
        ("--probe gdb", 2, "x64 has no probe 'gdb'"),
        (
            "-f xml",
            2,
            "argument -f/--format: invalid choice: 'xml' (choose from 'table', 'json', 'csv')",
        ),
        ("-p 4999", 1, "process 4999 does not exist"),
        ("--vm web", 1, "no VM matches 'web'"),
    ],
)
def test_invalid_command_lines_are_refused(
    words: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vcpu", *words.split()]) == status
    assert complaint(capsys)[0] == said


@pytest.mark.parametrize("option", ["-p", "-t", "-f", "--rate", "--vm", "--probe"])
def test_kvmstat_has_the_operands_of_its_manual_and_no_more(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kvmstat.main([option, "1"]) == 2
    assert complaint(capsys)[0].startswith(f"unrecognized arguments: {option}")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "words", ["", "5", "0.5 10", "--source bpf 1", "--source kernel 1 1", "--debug"]
)
def test_valid_command_lines_get_as_far_as_the_host(
    command: Callable[[list[str]], int], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(words.split()) == 4
    assert complaint(capsys) == ["KVM is not loaded", "load it: modprobe kvm_intel"]


def test_all_options_together_make_sense(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--nonzero --total --rate --timestamps -f csv --probe classic --source bpf 1 1"
    assert main(["vcpu", *words.split()]) == 4
    assert complaint(capsys)[0] == "KVM is not loaded"


@pytest.mark.parametrize(
    ("command", "parser"), [(kstats_vcpu, vcpu.parser), (kvmstat.main, kvmstat.parser)]
)
def test_help_has_every_option_and_column_of_every_architecture(
    command: Callable[[list[str]], int],
    parser: Callable[[], object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command(["--help"])
    text = capsys.readouterr().out
    for action in vars(parser())["_actions"]:
        assert all(option in text for option in action.option_strings)
    for arch in arches.arches():
        for name, rules in arch.kvmstat.items():
            isa = arch.isa(name)
            assert isa is not None
            told = text.partition(f"columns on {isa.title}:\n")[2].partition("\n\n")[0]
            for rule in rules:
                line = rf"^  {rule.column} .*{re.escape(rule.meaning)}$"
                assert re.search(line, told, re.MULTILINE)
                assert rule.differs in told
    assert max(map(len, text.splitlines())) <= 100


def test_help_marks_what_an_architecture_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["help", "vcpu"])
    told = capsys.readouterr().out.partition("columns on ARM64:\n")[2]
    dashes = re.findall(r"^  (\w+) +-:", told, re.MULTILINE)
    assert dashes == ["irqwx", "iox", "irqs", "emul"]
    assert set(dashes) < set(COLUMNS)


def test_a_backend_without_rules_is_refused_with_an_alternative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = trees.x64(tmp_path / "with", "kvm_intel")
    monkeypatch.setattr(live, "Host", lambda: host)
    without = arches.find("x64")._replace(kvmstat={})
    monkeypatch.setattr("kstats.collector.target.find_arch", lambda _: without)
    assert main(["vcpu", "1", "1"]) == 4
    line, hint = complaint(capsys)
    assert line == "the backend x64 does not define kvmstat's columns"
    assert "kstats exits" in hint


KEPT = {"exits": 9, "halt_exits": 4}
ONE = 100 << 32 | 101
WEB = Vm(100, 1, Kind.QEMU, "web", 9)
COUNTED = Sample(
    arch="x64",
    time=1_769_860_800.25,
    elapsed=1.0,
    cpus=(0, 1),
    entries={},
    exits={("vmx", 12): {Place(0, ONE): Exits(4)}},
    isa="vmx",
    threads={ONE: Thread(101, 100, 0, WEB)},
)


def recorded(folder: Path, sample: Sample, *counted: str) -> str:
    """A recording of a sample, twice."""
    file = folder / "kept.jsonl"
    header = recording.describe(Host(folder, "x86_64"), "x64", ["vmx"], counted=counted)
    with recording.Writer(file, header) as writer:
        writer.write(sample)
        writer.write(attrs.evolve(sample, time=sample.time + 1))
    return str(file)


def test_a_recording_shows_what_was_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = recorded(tmp_path, COUNTED, "exits", "threads")
    assert main(["vcpu", "--input", file, "--vm", "web"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    words = [" ".join(line.split()) for line in (header, *lines) if not line.startswith("#")]
    assert words == [
        "pid vcpu | exits : haltx irqx irqwx iox mmiox | irqs emul eptv",
        *["100 0 | 4 : 4 0 0 0 - | - - 0"] * 2,
    ]


def test_a_recording_of_kvms_counters_is_shown_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = attrs.evolve(COUNTED, exits={}, threads={}, counters={Vcpu(100, 0, 7, 11): KEPT})
    file = recorded(tmp_path, kept, "counters")
    assert main(["vcpu", "--input", file, "--source", "kernel", "-f", "csv", "2"]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines()[1].split(",")[2:6] == ["100", "0", "18", "8"]
    assert main(["vcpu", "--input", file]) == 2
    assert "exits by thread were not recorded" in complaint(capsys)[0]
