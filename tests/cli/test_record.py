"""kstats record, and what every view shows of a recording: what it showed live."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import time
from pathlib import Path

import attrs
import pytest

from kstats import recording
from kstats.cli import kvmexit, live, live_cpu, main, record, replay
from kstats.errors import RecordingError
from kstats.recording import IsaTable, Rotation
from tests.cli import process, scripted
from tests.cli.process import finish, shell, start
from tests.recording.samples import HEADER
from tests.samples import placed, sample


@pytest.fixture
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (live, live_cpu):
        monkeypatch.setattr(module, "Target", scripted.Target)
        monkeypatch.setattr(module, "Collector", scripted.Collector)


def samples_in(path: Path) -> int:
    with recording.read(path) as kept:
        return sum(1 for _ in kept)


def so_far(path: Path) -> int:
    """The same while it is written; it may have no whole header yet."""
    try:
        return samples_in(path)
    except RecordingError:
        return 0


VIEWS = [
    "",
    "-t",
    "--rate --total",
    "--reasons --nonzero",
    "-f json --total",
    "-f csv --rate",
    "-f csv --reasons --cpus 1",
]


@pytest.mark.usefixtures("_scripted")
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst"])
@pytest.mark.parametrize("words", VIEWS)
def test_a_recording_shows_digit_for_digit_what_was_shown_live(
    words: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"x{suffix}"
    assert main(["-v", "0.02", "3", "--record", str(path), *words.split()]) == 0
    live = capsys.readouterr()
    assert main(["-v", "--input", str(path), *words.split()]) == 0
    assert capsys.readouterr() == live
    assert live.out


def test_samples_are_shown_together_in_longer_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    with recording.Writer(path, HEADER) as writer:
        for late in (0.9, 1.1, 1.0, 1.4, 0.6, 1.0, 1.0):
            writer.write(sample({("vmx", 48): {0: 7}}, elapsed=late))
    assert main(["-v", "--input", str(path), "3", "-f", "json"]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["rows"][0]["vm_exit"] for report in reports] == [21, 21, 7]
    assert [report["elapsed"] for report in reports] == [3.0, 3.0, 1.0]
    main(["exits", "--by", "reason", "--input", str(path), "-f", "json"])
    (whole,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert whole["rows"][0]["count"] == 49


@pytest.mark.usefixtures("_scripted")
def test_count_ends_a_recording_and_its_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    assert main(["record", "-o", str(path), "--by", "cpu", "0.02", "5"]) == 0
    assert re.search(r"recorded 5 samples, [01]\.\d KiB: .*x\.jsonl$", capsys.readouterr().err)
    main(["-v", "--input", str(path), "0.02", "2", "--nonzero", "--cpus", "0"])
    lines = capsys.readouterr().out.splitlines()
    # A busy machine may be late, and the report says so.
    assert len([line for line in lines if "this report covers" not in line]) == 1 + 2 * 3


FEATURES = {
    "": {"Entries", "ExitsByThread", "Tracepoints"},
    "--all": {"Latency", "SlowExits", "VcpuTimes"},
    "--latency": {"Latency"},
    "--time": {"VcpuTimes"},
    "--slower-than 1ms": {"Latency", "SlowExits"},
    "--detail msr": {"Detail"},
    "--by cpu": {"Entries", "ExitsByCpu"},
}


@pytest.mark.parametrize("words", FEATURES)
def test_recorded_is_what_is_asked_for(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options, what every column of cpu, exits and vcpu shows."""
    loaded: list[set[str]] = []

    class Collector(scripted.Collector):
        def __init__(self, target: object, features: object, *_: object, **__: object) -> None:
            assert isinstance(features, tuple | list)
            loaded.append({type(feature).__name__ for feature in features})
            super().__init__(target)

    for module in (live, live_cpu):
        monkeypatch.setattr(module, "Target", scripted.Target)
        monkeypatch.setattr(module, "Collector", Collector)
    path = str(tmp_path / "x.jsonl")
    assert main(["record", "-q", "-o", path, *words.split(), "0.02", "1"]) == 0
    usual = set() if words == "--by cpu" else FEATURES[""]
    assert loaded == [FEATURES[words] | usual]


def complaint(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(words.split())
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert out == "" or status != 2
    return status, err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-v --input {} --probe raw", "--input cannot be combined with --probe"),
        ("-v --input {} --record y.jsonl", "--input cannot be combined with --record"),
        ("exits --input {} --map-entries 5", "--input cannot be combined with --map-entries"),
        ("exits --input {} --by vm", "exits by thread were not recorded"),
        ("exits --input {} --sort vm", "exits by thread were not recorded"),
        ("exits --input {} --tid 5 --by reason", "hint: kstats record -o FILE records them"),
        ("exits --input {} --time", "vCPU times were not recorded"),
        ("exits --input {} --time", "hint: kstats record --time -o FILE records them"),
        ("exits --input {} --slower-than 1ms", "slow exits were not recorded"),
        ("exits --input {} --latency", "latencies were not recorded"),
        ("exits --input {} --detail msr --by reason,detail", "msr details were not recorded"),
        ("vcpu --input {} --source kernel", "KVM's own counters of vCPUs were not recorded"),
        ("record --rotate-size 0", "invalid value '0' for --rotate-size"),
        ("record --rotate-size 1t", "invalid value '1t' for --rotate-size"),
        ("record --rotate-time 1w", "invalid value '1w' for --rotate-time"),
        ("record --keep 3", "--keep needs --rotate-size or --rotate-time"),
        ("record --by vm", "invalid choice: 'vm'"),
        ("record --by cpu --all", "--by cpu cannot be combined with --all"),
        ("record --detail msr --latency", "--detail cannot be combined with --latency"),
        ("record --slower-than 5", "invalid duration '5' for --slower-than"),
        ("record --detail msrs", "unknown detail 'msrs'"),
        ("record x", "interval 'x' is not between"),
    ],
)
def test_invalid_command_lines_are_refused(
    words: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.Writer(tmp_path / "x.jsonl", HEADER).close()
    status, err = complaint(words.format(tmp_path / "x.jsonl"), capsys)
    assert status == 2
    assert says in err


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        ("exits --by reason --reason npf", "unknown exit reason 'npf' for Intel VMX", ""),
        ("exits --by reason --reason wfx", "unknown exit reason 'wfx' for Intel VMX", ""),
        ("exits --by reason --reason hlt,npf", "unknown exit reason 'npf' for Intel VMX", ""),
        (
            "exits --by reason --reason svm:0x400",
            "unknown exit reason 'svm:0x400' for Intel VMX",
            "",
        ),
        ("-v --cpus 0,7", "its host has no CPU 7", "it has 0 to 1"),
    ],
)
def test_filters_that_cannot_match_are_refused(
    words: str, says: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    header = attrs.evolve(HEADER, isas=(IsaTable("vmx", "Intel VMX", 1, ""),))
    with recording.Writer(path, header) as writer:
        writer.write(sample({("vmx", 48): {0: 7}}))
    assert main([*words.split(), "--input", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err.splitlines()[0]
    assert hint in err.splitlines()[1]
    assert main(["exits", "--by", "reason", "--reason", "48,HLT", "--input", str(path)]) == 0
    assert main(["-v", "--cpus", "1", "--input", str(path)]) == 0


def test_without_threads_exits_are_shown_by_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "x.jsonl")
    with recording.Writer(path, HEADER) as writer:
        writer.write(sample({("vmx", 48): {0: 7}}))
    assert main(["exits", "--input", path, "-f", "csv", "--top", "3"]) == 0
    out, err = capsys.readouterr()
    assert (
        err
        == f"kstats: {path}: exits by thread were not recorded; exits are shown without threads\n"
    )
    assert [line.split(",")[2:] for line in out.splitlines()] == [
        ["reason", "count", "share"],
        ["EPT_VIOLATION", "7", "100.0"],
    ]


def test_unreadable_recordings_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = complaint(f"-v --input {tmp_path}/x.jsonl", capsys)
    assert missing == (7, f"kstats: {tmp_path}/x.jsonl: No such file or directory\n")
    (tmp_path / "x.jsonl").write_text("hello\n")
    status, err = complaint(f"-v --input {tmp_path}/x.jsonl", capsys)
    assert status == 7
    complained, hint = err.splitlines()
    assert complained.startswith(f"kstats: {tmp_path}/x.jsonl: line 1: invalid JSON")
    assert hint == "kstats: hint: recordings are made by kstats record; kstats decode reads others"


def test_a_closed_standard_input_is_reported() -> None:
    told = shell("$KSTATS -v --input - <&-", via=("-m", "kstats"))
    assert told == (7, "", "kstats: standard input: closed\n")


@pytest.mark.usefixtures("_scripted")
def test_what_can_be_read_is_shown_before_the_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    main(["record", "-q", "--by", "cpu", "-o", str(path), "0.02", "3"])
    path.write_text(path.read_text() + "oops\n")
    for words in (["-v"], ["exits", "--by", "reason"]):
        assert main([*words, "--input", str(path), "-f", "csv"]) == 7
        out, err = capsys.readouterr()
        assert out.count("EPT_VIOLATION" if words == ["exits"] else "\n") >= 1
        assert f"{path}: line 5: invalid JSON" in err


@pytest.mark.usefixtures("_scripted")
def test_an_incomplete_end_is_reported_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    main(["record", "-q", "--by", "cpu", "-o", str(path), "0.02", "3"])
    path.write_bytes(path.read_bytes()[:-5])
    assert main(["-v", "--input", str(path), "--cpus", "0"]) == 0
    out, err = capsys.readouterr()
    assert out.count("scripted") == 2
    assert err == f"kstats: {path}: ends in the middle of line 4; all lines before are complete\n"


def test_a_recording_without_samples_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording.Writer(tmp_path / "x.jsonl", HEADER).close()
    assert main(["-v", "--input", str(tmp_path / "x.jsonl")]) == 0
    assert "the recording has no samples" in capsys.readouterr().err


def test_an_interrupted_replay_does_not_call_the_recording_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal came before the first sample did."""
    recording.Writer(tmp_path / "x.jsonl", HEADER).close()
    monkeypatch.setattr(replay, "until_asked", lambda _: iter(()))
    assert main(["-v", "--input", str(tmp_path / "x.jsonl")]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_ends_a_recording_well(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.zst"
    command = start("record", "--by", "cpu", "-o", str(path), "0.05")
    wait_for(lambda: so_far(path) >= 2)
    command.send_signal(signal.SIGINT)
    status, out, err = finish(command)
    assert (status, out) == (0, "")
    assert re.search(r"recorded \d+ samples", err)
    assert samples_in(path) >= 3


def test_a_hangup_begins_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    command = start("record", "--by", "cpu", "-o", str(path), "0.05")
    wait_for(lambda: so_far(path) >= 2)
    command.send_signal(signal.SIGHUP)
    wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    command.send_signal(signal.SIGTERM)
    assert finish(command)[0] == 0
    assert all(samples_in(file) for file in tmp_path.iterdir())


def test_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = start(
        "record", "--by", "cpu", "-o", str(tmp_path / "x.jsonl"), "0.02", "3", stderr=theirs
    )
    assert finish(command)[0] == 0
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "\r\x1b[K2 samples, 0." in shown
    assert re.search(r"\r\x1b\[Kkstats: recorded 3 samples, [01]\.\d KiB", shown)


def test_recordings_go_through_pipes() -> None:
    script = (
        "$KSTATS record -q --by cpu -o - 0.02 3 | $KSTATS -v --input - -f csv --nonzero --cpus 0"
    )
    status, out, err = shell(script)
    assert (status, out.count("\n")) == (0, 4), err
    status, out, err = shell("$KSTATS record --by cpu -o - 0.02 | head -3")
    assert (status, out.count("\n")) == (0, 3)
    assert "Traceback" not in err


def test_amounts_have_units(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Rotation] = []
    monkeypatch.setattr(record, "_collect", lambda _: scripted.Collector(scripted.Target()))

    def writer(*arguments: object) -> None:
        assert isinstance(arguments[2], Rotation)
        given.append(arguments[2])
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "Writer", writer)
    for words in ("--rotate-size 100M --keep 7", "--rotate-time 1d", "--rotate-time 90m"):
        assert main(["record", *words.split()]) == 130
    assert given == [Rotation(100 << 20, None, 7), Rotation(None, 86400), Rotation(None, 5400)]


def wait_for(condition: object) -> None:
    """Wait until the condition holds; fail after the deadline of processes."""
    assert callable(condition)
    end = time.monotonic() + process.DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_kvmexit_shows_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = attrs.evolve(
        sample(), exits=placed({("vmx", 48): {(0, 5 << 32 | 6): 3, (1, 7 << 32 | 8): 4}})
    )
    header = attrs.evolve(HEADER, counted=("exits", "threads"))
    path = tmp_path / "x.jsonl"
    with recording.Writer(path, header) as writer:
        for _ in range(2):
            writer.write(made)
    assert kvmexit.main(["--input", str(path)]) == 0
    title, heading, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("Display kvm exit reasons and statistics for all threads of /")
    assert heading.split() == ["PID", "TID", "KVM_EXIT_REASON", "COUNT"]
    cells = [["5", "6", "EPT_VIOLATION", "6"], ["7", "8", "EPT_VIOLATION", "8"]]
    assert [row.split() for row in rows] == cells
    assert kvmexit.main(["--input", str(path), "-p", "7"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["EPT_VIOLATION", "8"]
    assert kvmexit.main(["--input", str(path), "-t", "9"]) == 1
    assert "the recording has no such thread" in capsys.readouterr().err
