"""The real program in a real terminal: what it shows, and how it leaves the terminal."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.top.terminal import ROOT, Terminal

DEMO = (sys.executable, "-m", "kstats", "demo")
PIPED = """\
import subprocess, sys
done = subprocess.run([sys.executable, "-m", "kstats", "demo"], stdout=subprocess.PIPE)
sys.exit(done.returncode)
"""
ENDED = "\x1b[?1049l"
"""What xterm's terminfo entry has for the end of full-screen mode."""


@pytest.fixture
def demo() -> Iterator[Terminal]:
    with Terminal(*DEMO) as terminal:
        terminal.wait("exits/s")
        yield terminal


def assert_restored(terminal: Terminal) -> None:
    """Check that the terminal is as it was before."""
    assert ENDED in terminal.raw.decode()
    assert "Traceback" not in terminal.text
    assert terminal.modes_now() == terminal.modes


def test_the_last_screen_stays_as_text(demo: Terminal) -> None:
    demo.press("2")
    demo.wait("/vCPU·s")
    demo.press("q")
    assert demo.finish() == 0
    assert_restored(demo)
    left = demo.raw.decode().partition(ENDED)[2]
    assert "/vCPU·s" in left
    assert "\x1b[" not in left.partition("kstats top")[2]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name
)
def test_signals_end_it_with_the_terminal_restored(demo: Terminal, number: int) -> None:
    demo.process.send_signal(number)
    assert demo.finish() == 0
    assert_restored(demo)
    assert "exits/s" in demo.raw.decode().partition(ENDED)[2]


def test_it_stops_and_goes_on() -> None:
    """^Z gives the terminal back to the shell; fg draws everything again."""
    with Terminal("bash", "--norc", "-i", environment={"PS1": "prompt> "}) as terminal:
        terminal.wait("prompt>")
        terminal.press(f"{' '.join(DEMO)}\r")
        terminal.wait("q:quit")
        terminal.press("\x1a")
        terminal.wait("Stopped")
        terminal.screen.reset()
        terminal.press("fg\r")
        terminal.wait("q:quit")
        terminal.press("2")
        terminal.wait("/vCPU·s")
        terminal.press("qexit\r")
        assert terminal.finish() == 0
        assert "Traceback" not in terminal.text


def test_a_crash_restores_the_terminal_and_shows_why() -> None:
    broken = (
        "import kstats.top.app as app, kstats.cli as cli, sys\n"
        "app.pressed = lambda *_: 1 / 0\n"
        "sys.exit(cli.main(['demo']))"
    )
    with Terminal(sys.executable, "-c", broken) as terminal:
        terminal.wait("exits/s")
        terminal.press("2")
        assert terminal.finish() == 1
        assert ENDED in terminal.raw.decode()
        assert terminal.modes_now() == terminal.modes
        assert "ZeroDivisionError" in terminal.raw.decode().partition(ENDED)[2]


def test_it_follows_the_size_of_the_terminal(demo: Terminal) -> None:
    demo.resize(120, 40)
    demo.wait(lambda _: "q:quit" in demo.lines[39])
    demo.resize(60, 12)
    demo.wait(lambda _: "?:help" in demo.lines[11])
    demo.resize(20, 5)
    demo.wait("terminal too small")


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm"},
        {"TERM": "xterm-256color", "NO_COLOR": "1"},
        {"TERM": "screen", "LC_ALL": "C"},
        {"TERM": "vt100", "LC_ALL": "C"},
        {"TERM": "tmux", "LC_ALL": "xx_XX.UTF-8"},
        {"TERM": "linux"},
    ],
    ids=" ".join,
)
def test_every_terminal_can_show_it(environment: dict[str, str]) -> None:
    with Terminal(*DEMO, environment=environment) as terminal:
        terminal.wait("1 CPUs")
        terminal.press("4")
        terminal.wait("category / reason")
        colours = {c.fg for row in terminal.screen.buffer.values() for c in row.values()}
        plain = "NO_COLOR" in environment or environment["TERM"] == "vt100"
        assert (colours <= {"default"}) is plain
        if "LC_ALL" in environment:
            assert terminal.raw.isascii()
        terminal.press("q")
        assert terminal.finish() == 0


def test_a_dumb_terminal_and_a_pipe_are_refused() -> None:
    for environment in ({"TERM": "dumb"}, {"TERM": "no-such-terminal"}):
        with Terminal(*DEMO, environment=environment) as terminal:
            assert terminal.finish() == 1
            assert "kstats: hint: set TERM" in terminal.text
    with Terminal(sys.executable, "-c", PIPED) as terminal:
        assert terminal.finish() == 2
        assert "kstats top needs a terminal" in terminal.text


def test_keys_reach_the_program(demo: Terminal) -> None:
    """Characters, control characters and escape sequences of xterm."""
    steps = (
        ("2", "/vCPU·s"),
        ("\r", "host ▸ python3(126)"),
        ("\r", "vCPU"),
        ("\x1b", "3 vCPUs"),
        ("4", "category / reason"),
        ("\x1bOB", "io"),  # Down
        ("e", "Guest executed IN"),
        ("\x1b", "category / reason"),
        ("c", "filters cleared"),
        ("/", "filter (regular expression):"),
        ("^hltx\x7f\r", "/^hlt"),
        ("c", "filters cleared"),
        ("\x1bOP", "show CPUs"),  # F1
        ("\x1b[6~", "one sample back"),  # PageDown
        ("h", "category / reason"),
        (">", "sorted by share%"),
        ("<", "sorted by exits/s"),
        ("o", "category / reason"),
        ("x", "▸ "),
        ("b", "/vCPU·s"),
        ("m", "vs mark"),
        ("t", "sample 2"),
        ("T", "sample 1"),
        ("j", "go to ("),
        ("end\r", "sample 30"),
        ("j", "go to ("),
        ("10s ago\r", "sample 21"),
        ("s", "seconds between samples"),
        ("5\r", "every 5 s"),
        ("+", "playing x1"),
        ("+", "playing x2"),
        (" ", "stopped"),
        ("L", "not possible while a recording is shown"),
        ("r", "were reset"),
        ("g", "VM (name, pid or pattern):"),
        ("nobody\r", "no VM matches"),
        ("p", "process ID:"),
        ("126\r", "host ▸ python3(126)"),
        ("1", "1 idle: 1"),
        ("z", "    1      0.0"),
        ("\x1bOC", "cpu 1:"),  # Right
        ("\x1bOD", "cpu 0:"),  # Left
    )
    for keys, text in steps:
        demo.press(keys)
        demo.wait(text)
    demo.press("cy")
    assert demo.finish() == 0
    last = [line for line in demo.lines if line][-1]
    assert last.startswith("kstats cpu --input ")
    assert last.endswith("svm.jsonl")


@pytest.mark.parametrize("keys", ["1", "2", "3", "4", "2\r", "2\r\r", "4\x1bOB\r", "1\r"])
def test_the_printed_command_works(demo: Terminal, keys: str) -> None:
    for key in re.findall(r"\x1bOB|.", keys, re.DOTALL):
        demo.press(key)
        demo.wait("q:quit")
    demo.press("y")
    assert demo.finish() == 0
    left = demo.raw.decode().partition(ENDED)[2]
    (command,) = re.findall(r"^kstats (?:cpu|exits) .*?(?=\r)", left, re.MULTILINE)
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, check=True, capture_output=True, timeout=300, text=True, cwd=ROOT)
    assert len(done.stdout.splitlines()) > 1
