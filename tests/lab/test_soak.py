"""Test the soak run with fake hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import soak
from lab.hosts import Host, HostLostError, find
from tests.lab.fake import FakeHost


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "FLEET", "sleep 0.1")
    monkeypatch.setattr(soak, "SWITCH", "while :; do echo switched; sleep 0.01; done")


def test_a_host_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeHost() as fake:
        monkeypatch.setattr(soak, "boot", lambda *_: fake.host())
        run = soak.soak(find("svm"), Path(), rounds=3)
    assert not run.lost
    assert run.switched > 0


def test_a_lost_host_is_reported_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(*_: object) -> Host:
        raise HostLostError("svm", "the machine stopped", "Kernel panic")

    monkeypatch.setattr(soak, "boot", boot)
    run = soak.soak(find("svm"), Path(), rounds=3)
    assert run.switched == 0
    assert "Kernel panic" in str(run)
