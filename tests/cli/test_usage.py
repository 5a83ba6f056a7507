"""A wrong command line costs one line, a hint and status 2, on any host."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import kstats
from kstats import errors
from kstats.cli import (
    COMMANDS,
    INTERRUPTED,
    PROGRAMS,
    compare,
    cpu,
    decode,
    kvmexit,
    kvmstat,
    live,
    live_cpu,
    main,
)
from kstats.cli.options import MOST, Parser
from kstats.errors import KstatsError, UsageError
from kstats.host import Host
from tests import trees


@pytest.fixture(autouse=True)
def _bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Intel host of four CPUs without KVM: what comes after the usage fails with status 4."""
    host = trees.x64(tmp_path, kvm=False)
    for module in (live, live_cpu):
        monkeypatch.setattr(module, "Host", lambda: host)


INTERVAL = "interval {} is not between 0.01 and 86400 seconds"
COUNT = "count {} is not a positive integer"
INTERVAL_HINT = "give seconds; fractions are fine, like 0.5"
COUNT_HINT = "leave it out to go on until ^C"
SEE_HELP = "see kstats --help"
SEE_CPU = "see kstats cpu --help"


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-1", "-0.5", "-.5", "0.009", "86401", "1e300", "nan", "inf", "infinity", "-0"),
        *("", " ", "1 ", "soon", "1s", "1,5", "0x1", "1_0", "1e0", "\u0661", "9" * 5000, "1\n"),
    ],
)
@pytest.mark.parametrize("flag", [(), ("-d",)])
def test_an_invalid_interval_is_refused(
    flag: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-v", *flag, text]) == 2
    assert complaint(capsys) == (INTERVAL.format(repr(text)), INTERVAL_HINT)


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "", "many", "1e3", "+1", "\u0662", " 1", "1_0", "9" * 5000]
)
@pytest.mark.parametrize("words", [("1",), ("-n",)])
def test_an_invalid_count_is_refused(
    words: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-v", *words, text]) == 2
    assert complaint(capsys) == (COUNT.format(repr(text)), COUNT_HINT)


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ("-v -d 1 2", "-d cannot be combined with interval", "use only one of them"),
        ("-v 1 2 -n 2", "-n cannot be combined with count", "use only one of them"),
        ("-v --cpus 2-", "invalid CPU list '2-'", "write it like 0-3,8"),
        ("-v --cpus 3-1", "reversed CPU range '3-1'", "write it 1-3"),
        ("-v --cpus 0,4", "this host has no CPU 4", "it has 0 to 3"),
        ("-v --cpus 0-99999", "invalid CPU number 99999", "CPU numbers are below 65536"),
        ("-v --probe gdb", "x64 has no probe 'gdb'", "known: raw-cast, raw-btf, raw-arg, classic"),
        ("-v --probe=", "x64 has no probe ''", "known: raw-cast, raw-btf, raw-arg, classic"),
        (
            "-v --overhead --input x",
            "--input cannot be combined with --overhead",
            "use only one of them",
        ),
        (
            "vcpu --source kernel --overhead",
            "--source kernel cannot be combined with --overhead",
            "use only one of them",
        ),
        ("-v 1 2 3", "unrecognized arguments: 3", SEE_CPU),
        ("-v --frobnicate", "unrecognized arguments: --frobnicate", SEE_CPU),
        ("-v --frobnicate x", "unrecognized arguments: --frobnicate", SEE_CPU),
        ("-v --tot", "unrecognized arguments: --tot", SEE_CPU),
        ("-v -1e3", "unrecognized arguments: -1e3", SEE_CPU),
        ("-v -d", "argument -d: expected one argument", SEE_CPU),
        ("-v --cpus", "argument --cpus: expected one argument", SEE_CPU),
        (
            "-v -f xml",
            "argument -f/--format: invalid choice: 'xml' (choose from 'table', 'json', 'csv')",
            SEE_CPU,
        ),
        ("1 5", "no command given", "per physical CPU: kstats cpu 1 5"),
        ("--rate", "no command given", "per physical CPU: kstats cpu --rate"),
        ("vcpus 1", "unknown command 'vcpus'", "did you mean kstats vcpu?"),
        ("exit", "unknown command 'exit'", "did you mean kstats exits?"),
        ("kvmexits", "unknown command 'kvmexits'", "did you mean kvmexit?"),
        ("frobnicate", "unknown command 'frobnicate'", SEE_HELP),
        ("kvmexit -p 7 5", "kvmexit is a separate program", "leave out kstats: kvmexit -p 7 5"),
        ("help kvmstat", "kvmstat is a separate program", "leave out kstats: kvmstat --help"),
        ("-v exits", "-v cannot be combined with the command exits", "leave out -v: kstats exits"),
        ("doctors", "unknown command 'doctors'", "did you mean kstats doctor?"),
        ("doctor now", "unrecognized arguments: now", "see kstats doctor --help"),
        ("doctor -f csv", None, "see kstats doctor --help"),
    ],
)
def test_invalid_command_lines_are_refused(
    words: str, said: str | None, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    got, got_hint = complaint(capsys)
    assert said in (got, None)
    assert got_hint == hint


def complaint(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The line and the hint that were printed, and nothing else was."""
    out, err = capsys.readouterr()
    assert out == ""
    line, hint = err.splitlines()
    return line.removeprefix("kstats: "), hint.removeprefix("kstats: hint: ")


def test_valid_command_lines_get_as_far_as_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    """So the errors above are not this one in disguise."""
    for words in (
        ["-v"],
        ["-v", "0.01", str(MOST)],
        ["-v", "86400", "1", "-t", "--nonzero", "--total", "--rate", "--reasons", "-f", "csv"],
        ["-vtd", ".5", "-n5", "--cpus", "0-3", "--probe", "classic"],
        ["-v", "--", "5.", "1"],
    ):
        assert main(words) == 4
        assert complaint(capsys) == ("KVM is not loaded", "load it: modprobe kvm_intel")


def test_a_host_without_sysfs_cannot_check_its_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_cpu, "Host", lambda: Host(tmp_path / "none", "x86_64"))
    assert main(["-v", "--cpus", "0"]) == 4
    said, hint = complaint(capsys)
    assert said.startswith("cannot read /sys/devices/system/cpu")
    assert hint == "mount sysfs: mount -t sysfs nodev /sys"


def test_kstats_alone_lists_the_commands_by_task_in_20_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed([], capsys)
    for command, summary in COMMANDS.items():
        assert re.search(rf"^  {command} +{re.escape(summary)}$", text, re.MULTILINE)
    assert "kstats -v" in text
    lines = text.splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 100
    assert printed(["help"], capsys) == text


def test_help_adds_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(["--help"], capsys)
    assert text.startswith(printed([], capsys))
    statuses = {int(number) for number in re.findall(r"^  (\d+)  ", text, re.MULTILINE)}
    of_errors = {kind.status for kind in _errors()}
    assert statuses == {0, *of_errors, decode.INCOMPLETE, compare.CROSSED, INTERRUPTED}
    assert printed(["-h"], capsys) == text


def _errors() -> list[type[KstatsError]]:
    known = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in known if issubclass(kind, KstatsError)]


def test_help_of_cpu_mentions_every_option_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(["cpu", "--help"], capsys)
    parser = cpu.parser()
    for option in (option for action in parser._actions for option in action.option_strings):
        assert option in text
    for column in ("inst_abt", "smc_inst", "ints_win", "msr(rd", "xsetbv)", "other"):
        assert column in text
    assert max(map(len, text.splitlines())) <= 100
    assert _help(["help", "cpu"], capsys) == _help(["-v", "--help"], capsys) == text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_begins_with_its_summary(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _help([command, "--help"], capsys)
    assert text.startswith(f"usage: kstats {command} ")
    assert text.split("\n\n")[1].lower() == f"{COMMANDS[command]}.".lower()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_means_the_same_in_every_command(command: str) -> None:
    parser = importlib.import_module(f"kstats.cli.{command}").parser()
    spellings = {
        option: set(a.option_strings) for a in parser._actions for option in a.option_strings
    }
    for option, same in {"-f": "--format", "-o": "--output", "-p": "--pid"}.items():
        assert spellings.get(option, {option, same}) == {option, same}
        assert spellings.get(same, {option, same}) == {option, same}
    assert spellings.get("-t", {"-t", "--timestamps"}) == {"-t", "--timestamps"}


@pytest.mark.parametrize("command", [*COMMANDS, *PROGRAMS])
def test_two_dashes_are_not_a_value(command: str) -> None:
    """The parser would drop them, and give the option an empty list."""
    parser = importlib.import_module(f"kstats.cli.{command}").parser()
    slots = [a.option_strings for a in parser._actions if a.option_strings and a.nargs != 0]
    for option in (option for names in slots for option in names):
        words = [f"{option}=--"] if option.startswith("--") else [f"{option}--", f"{option}=--"]
        for word in words:
            with pytest.raises(UsageError, match=re.escape(f"invalid value '--' in {word}")):
                parser.parse([word], dict)


@pytest.mark.parametrize("parser", [kvmexit.parser(), kvmstat.parser()], ids=lambda p: p.prog)
def test_the_usage_of_the_companions_has_every_option(parser: Parser) -> None:
    usage = set(re.findall(r"-[\w-]+", parser.format_usage()))
    for action in parser._actions:
        assert not action.option_strings or usage & set(action.option_strings)


def test_doctor_has_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(["doctor", "--help"], capsys)
    assert "usage: kstats doctor" in text
    assert "exit status" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(["--version"], capsys) == f"kstats {kstats.__version__}\n"
    assert printed(["-V"], capsys) == f"kstats {kstats.__version__}\n"


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a successful command prints."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def _help(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert not caught.value.code
    out, err = capsys.readouterr()
    assert err == ""
    return out
