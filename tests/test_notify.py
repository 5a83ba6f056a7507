"""What services report to their manager, over a real socket."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kstats import notify
from tests.cli.process import DEADLINE, finish, start
from tests.exporter import running


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket of a service manager; processes that the test starts know it."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as received:
        received.settimeout(DEADLINE)
        received.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield received


def messages(manager: socket.socket, count: int) -> list[str]:
    return [manager.recv(4096).decode() for _ in range(count)]


def test_record_reports_that_it_counts_and_each_sample(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    process = start("record", "-o", str(tmp_path / "samples.jsonl"), "0.01", "3")
    assert finish(process)[0] == 0
    assert messages(manager, 5) == ["READY=1", "WATCHDOG_USEC=1000000", *["WATCHDOG=1"] * 3]


def test_the_manager_waits_for_long_intervals(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.ready(60)
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    notify.ready(60)
    notify.ready(float("inf"))
    forever = "WATCHDOG_USEC=4000000000000000"
    assert messages(manager, 5) == [
        "READY=1",
        *("READY=1", "WATCHDOG_USEC=240000000"),
        *("READY=1", forever),
    ]


def test_the_exporter_reports_that_it_listens_lives_and_stops(manager: socket.socket) -> None:
    with running.exporter() as exporter:
        assert messages(manager, 2) == ["READY=1", "WATCHDOG=1"]
        assert exporter.stop(signal.SIGTERM) == 0
        assert messages(manager, 1) == ["STOPPING=1"]


def test_an_abstract_address(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"kstats-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as received:
        received.settimeout(DEADLINE)
        received.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify.send(notify.ALIVE)
        assert received.recv(100) == b"WATCHDOG=1"


def test_a_manager_that_went_away_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.send(notify.ALIVE)
    process = start("record", "-o", str(tmp_path / "samples.jsonl"), "0.01", "1")
    assert finish(process)[0] == 0
