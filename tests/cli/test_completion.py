"""Completion in a real bash: at a terminal, and asked word by word."""

from __future__ import annotations

import argparse
import importlib
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kstats.cli import COMMANDS, PROGRAMS, completion, main

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
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


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
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert done.stderr == ""
    return set(done.stdout.split())


def long_options(parser: argparse.ArgumentParser) -> set[str]:
    """The long options that --help tells of."""
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
    assert offered(scripts, "kstats", "exits", "-f", "") == {"table", "json", "csv"}
    assert offered(scripts, "kstats", "cpu", "-f", "j") == {"json"}
    assert offered(scripts, "kstats", "completion", "") == set(completion.SHELLS)


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
        deadline = time.monotonic() + 20
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
