"""The real program in a real terminal: what it shows, and how it leaves the terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from tests.top.terminal import Terminal

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
        if environment.get("LC_ALL") == "C":
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
