"""``kstats top`` in a host: what it shows and records is the work of the guest."""

from __future__ import annotations

import json
from pathlib import Path

import pyte
import pytest

from kstats.units import figure
from lab.hosts import Host
from lab.hosts.command import Command
from lab.hosts.errors import CommandTimeoutError
from tests.live.conftest import beds
from tests.live.guests import guest
from tests.live.kstats import wait_samples

pytestmark = [
    pytest.mark.host,
    # One host is enough: exits are counted as for every other view.
    pytest.mark.parametrize("bed", beds("svm"), indirect=True, scope="session"),
]

ROWS, COLUMNS = 40, 160
FILE = "/tmp/top.jsonl"  # noqa: S108 - a folder of the host
TERMINFO = "/tmp/terminfo"  # noqa: S108 - same
TIMES = 500
WORK = f"cpuid={TIMES}"


class Screen:
    """What a command in the host has on its terminal."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        self._fed = 0

    @property
    def text(self) -> str:
        """The screen now."""
        output = self.command.stdout
        self._stream.feed(output[self._fed :])
        self._fed = len(output)
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait(self, *texts: str) -> str:
        """Wait until all texts are on the screen."""
        try:
            self.command.wait_until(lambda: all(text in self.text for text in texts))
        except CommandTimeoutError as error:
            raise AssertionError(f"{texts} are not on the screen:\n{self.text}") from error
        return self.text

    def press(self, keys: str) -> None:
        """Send keys."""
        self.command.enter(keys.encode())


def terminal(host: Host) -> dict[str, str]:
    """Return an environment in which the host knows the type of the terminal."""
    entry = Path("/lib/terminfo/x/xterm-256color").read_bytes()
    host.put(f"{TERMINFO}/x/xterm-256color", entry)
    return {"TERM": "xterm-256color", "TERMINFO": TERMINFO}


def recorded(host: Host) -> list[tuple[float, int]]:
    """Return the elapsed time and the CPUID exits of each sample that was recorded."""
    words = ["kstats", "exits", "0.01", "100000", "--input", FILE, "--by", "reason", "-f", "json"]
    reports = map(json.loads, host.run(words).check().stdout.splitlines())
    return [
        (r["elapsed"], sum(row["count"] for row in r["rows"] if row["reason"] == "cpuid"))
        for r in reports
    ]


def rates_until(screen: Screen, name: str, text: str) -> set[str]:
    """Return what a row had as its first number until a text was shown.

    The terminal shows a row before the last of its bytes have come, so parts of a number are among
    them. What is complete when ``text`` comes is, too.
    """
    rates: set[str] = set()

    def is_shown() -> bool:
        rows = map(str.split, screen.text.splitlines())
        rates.update(row[1] for row in rows if row[:1] == [name] and len(row) > 1)
        return text in screen.text

    screen.command.wait_until(is_shown)
    return rates


def test_it_shows_and_records_the_work_of_the_guest(host: Host) -> None:
    words = ["kstats", "top", "--screen", "reasons", "--delay", "3", "--record", FILE]
    with host.start(words, terminal=(ROWS, COLUMNS), env=terminal(host)) as command:
        screen = Screen(command)
        screen.wait("AMD SVM", "not recording", "overhead 0")
        screen.press("R")
        screen.wait(f"recording {FILE}")
        with guest(host, "--cpu", "1", "--workload", WORK):
            screen.wait("cpuid")
            screen.press(" ")
            shown = rates_until(screen, "cpuid", "PAUSED")
            screen.press(" ")
        for keys, loaded in (("Ly", "latency"), ("Dmsr\r", "msr details"), ("My", "time")):
            screen.press(keys)
            screen.wait("measuring", loaded)
        with guest(host, "--cpu", "1", "--workload", WORK):
            screen.press("2")
            screen.wait("helpers%", "#guest=kern+vmm.halt!wait")
            wait_samples(host, FILE)  # the last of them has the last exit
        screen.press("R")
        screen.wait("not recording")
        screen.press("y")
        done = command.wait()
    assert done.status == 0, done.stdout
    assert "kstats exits --by vm 3 10" in done.stdout.replace("\r", "")
    samples = recorded(host)
    assert sum(count for _, count in samples) == 2 * TIMES
    assert shown & {figure(count / elapsed, 8) for elapsed, count in samples if count}


def test_nothing_to_count_is_shown_on_the_screen(host: Host) -> None:
    host.run("rmmod kvm_amd kvm").check()
    try:
        words = ["kstats", "top"]
        with host.start(words, terminal=(ROWS, COLUMNS), env=terminal(host)) as command:
            screen = Screen(command)
            screen.wait("KVM is not loaded", "modprobe kvm_amd", "kstats demo")
            screen.press("q")
            assert command.wait().status == 4
    finally:
        host.run("modprobe kvm_amd").check()
