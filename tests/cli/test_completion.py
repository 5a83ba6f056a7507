"""Completion in a real bash: at a terminal, and asked word by word."""

from __future__ import annotations

import argparse
import importlib
import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kstats.cli import COMMANDS, PROGRAMS, completion, main
from tests.vms.trees import Tree

# What bash does at TAB: it sets these and calls the function that was registered.
ASK = """
source "$1"; shift
register=$(complete -p "$1")
[[ $register =~ -F\\ ([^ ]+) ]]
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
${BASH_REMATCH[1]} "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(*words: str) -> str:
    """What ``kstats completion`` prints."""
    command = [sys.executable, "-m", "kstats", "completion", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script of each program, for bash."""
    folder = tmp_path_factory.mktemp("completion")
    for program in ("kstats", *PROGRAMS):
        (folder / program).write_text(script("bash", program), encoding="utf-8")
    return {program: folder / program for program in ("kstats", *PROGRAMS)}


def offered(scripts: dict[str, Path], *words: str) -> set[str]:
    """What bash offers for the last of the words."""
    command = ["bash", "--norc", "-c", ASK, "bash", str(scripts[words[0]]), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    return set(done.stdout.split())


def long_options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options that --help shows."""
    shown = (action for action in parser._actions if action.help != argparse.SUPPRESS)
    return {name for action in shown for name in action.option_strings if name.startswith("--")}


def test_commands(scripts: dict[str, Path]) -> None:
    assert offered(scripts, "kstats", "") == set(COMMANDS)
    assert offered(scripts, "kstats", "--") == {"--help", "--version"}
    assert offered(scripts, "kstats", "exi") == {"exits"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_every_command(scripts: dict[str, Path], command: str) -> None:
    parser = importlib.import_module(f"kstats.cli.{command}").parser()
    assert offered(scripts, "kstats", command, "--") == long_options(parser)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_of_every_program(scripts: dict[str, Path], program: str) -> None:
    parser = importlib.import_module(f"kstats.cli.{program}").parser()
    assert offered(scripts, program, "--") == long_options(parser)


def test_values(scripts: dict[str, Path]) -> None:
    assert offered(scripts, "kstats", "exits", "-f", "") == {"table", "json", "csv", "folded"}
    assert offered(scripts, "kstats", "cpu", "-f", "j") == {"json"}
    assert offered(scripts, "kstats", "completion", "") == set(completion.SHELLS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("exits --by ", {"cpu", "vm", "reason", "detail"}),
        ("exits --by cpu,vm", {"cpu,vm", "cpu,vmm", "cpu,vmid"}),
        ("exits --by cpu,re", {"cpu,reason"}),
        ("decode --by ti", {"tid"}),
        ("exits --detail m", {"msr", "mmio"}),
        ("exits --sort p9", {"p90", "p99"}),
        ("exits --reason npf,EPT_MIS", {"npf,EPT_MISCONFIG"}),
        ("exits --reason EPT_V", {"EPT_VIOLATION"}),
        ("cpu --probe raw-b", {"raw-btf"}),
        ("explain hyp", {"hypercall"}),
        ("explain --isa a", {"arm64"}),
        ("compare --explain sp", {"spin"}),
    ],
)
def test_values_that_are_words(words: str, expected: set[str], scripts: dict[str, Path]) -> None:
    got = offered(scripts, "kstats", *words.split(" "))
    assert got >= expected
    assert words.endswith(" ") or got <= expected


VMS = ("web", "web db", "$(touch owned)", "`touch owned`", "db")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_of_vms_are_asked_for_and_never_evaluated(
    shell: str, scripts: dict[str, Path], tmp_path: Path
) -> None:
    assert "kstats completion --vms" in script(shell)
    if shell != "bash":
        return
    fake = tmp_path / "kstats"
    fake.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(VMS) + "\nEND\n", encoding="utf-8")
    fake.chmod(0o755)
    words = ["bash", "--norc", "-c", ASK, "bash", str(scripts["kstats"]), "kstats", "exits", "--vm"]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for word, names in {"": VMS, "we": VMS[:2], "$": VMS[2:3]}.items():
        done = subprocess.run(
            [*words, word],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env=environment,
            cwd=tmp_path,
        )
        assert [shlex.split(line) for line in done.stdout.splitlines()] == [[n] for n in names]
    assert not (tmp_path / "owned").exists()


def test_the_names_of_vms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = Tree(tmp_path)
    for pid, name in ((100, "web"), (200, "a\nb")):
        tree.process(pid, "qemu-kvm", "-name", f"guest={name}", fds={9: "anon_inode:kvm-vm"})
    monkeypatch.setattr(completion, "Host", lambda: tree.host)
    assert main(["completion", "--vms"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a\\nb", "web"]


@pytest.mark.parametrize("command", [*COMMANDS, *PROGRAMS])
def test_a_value_with_a_name_in_capitals_means_one_thing(command: str) -> None:
    """Values complete by this name."""
    free = {"PID", "VCPU", "TID", "TIDS", "N", "SECONDS", "TIMES", "LIST", "TIME", "SIZE", "RATE"}
    free |= {"TEXT", "SHELL", "PROGRAM", "[CATEGORY=]RATIO", "duration", "COLUMN"}
    free |= {"ADDRESS", "HEADER", "LABEL", "PATH"}
    parser = importlib.import_module(f"kstats.cli.{command}").parser()
    names = {action.metavar for action in parser._actions if action.metavar}
    assert names <= free | {"FILE", "DIR", "SOURCE"} | completion._values().keys()


def test_at_a_terminal(scripts: dict[str, Path]) -> None:
    terminal, theirs = pty.openpty()
    wanted = b"exits --sort count --map-entries "
    seen = b""
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "dumb"},
        start_new_session=True,
    ) as shell:
        os.write(terminal, f"source {scripts['kstats']}\n".encode())
        os.write(terminal, b"kstats exits --so\tcount --map\t")
        deadline = time.monotonic() + 120
        while wanted not in seen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 4096)
        shell.kill()
    os.close(terminal)
    os.close(theirs)
    assert wanted in seen


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_has_a_script(shell: str) -> None:
    assert "map-entries" in script(shell)


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
