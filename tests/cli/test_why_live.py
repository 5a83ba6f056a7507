"""``kstats why`` on a host: what it loads, and in which order. Nothing is loaded here."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any, Self

import pytest

from kstats.cli import main, why_live
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.latency import Latency
from kstats.collector.vcpu_time import VcpuTimes
from kstats.errors import LoadError
from kstats.model import Sample
from kstats.vms.identity import Thread, Vm
from tests.cli import scripted
from tests.why.cases import BUSY
from tests.why.made import VM, guest, write

STORM = {"MSR_WRITE": 6000.0}
ICR = {"MSR_WRITE": {write(0x830): 6000.0}}


class Registry:
    """A host with one VM."""

    def __init__(self, _: object) -> None:
        pass

    def vms(self) -> dict[Vm, tuple[Thread, ...]]:
        """The VM."""
        return {VM: ()}


class Collector:
    """Returns the sample that a program with these features would."""

    first = guest("vmx", STORM, us=2, time=BUSY)
    loaded: list[tuple[Feature, ...]]
    stop = False

    def __init__(self, _: object, features: Sequence[Feature], *__: Any) -> None:
        self._features = tuple(features)
        self.loaded.append(self._features)
        if self.stop:
            os.kill(os.getpid(), signal.SIGINT)

    def sample(self) -> Sample:
        """The sample."""
        details = [one for one in self._features if isinstance(one, Detail)]
        return guest("vmx", kind=details[0].source.name, details=ICR) if details else self.first

    def description(self) -> tuple[str, ...]:
        """What --debug prints."""
        return (f"loaded {len(self._features)} features",)

    def follow(self) -> None:
        """Nothing goes on between samples."""

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Feature, ...]]:
    """What is loaded, in order."""
    programs: list[tuple[Feature, ...]] = []
    monkeypatch.setattr(Collector, "loaded", programs, raising=False)
    monkeypatch.setattr(why_live, "Target", scripted.Target)
    monkeypatch.setattr(why_live, "VmRegistry", Registry)
    monkeypatch.setattr(why_live, "Collector", Collector)
    return programs


def kinds(features: tuple[Feature, ...]) -> set[type[Feature]]:
    """The kinds of features of a program."""
    return {type(feature) for feature in features}


def test_details_are_counted_if_a_rule_needs_them(
    loaded: list[tuple[Feature, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why", "web", "0.05", "--debug"]) == 0
    out, err = capsys.readouterr()
    assert "loaded 2 features" in err
    assert "write X2APIC_ICR(0x830): 6,000 exits per vCPU-second" in out
    assert "web: The guest's vCPUs interrupt each other" in out
    first, second = loaded
    assert kinds(first) >= {Latency, VcpuTimes}
    assert Detail not in kinds(first)
    assert [one.source.name for one in second if isinstance(one, Detail)] == ["msr"]


def test_no_second_program_is_loaded_for_a_healthy_vm(
    loaded: list[tuple[Feature, ...]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Collector, "first", guest("vmx", {"HLT": 10}, us=2, time=BUSY))
    assert main(["why", "--fail-on", "info", "0.05"]) == 0
    assert "nothing unusual" in capsys.readouterr().out
    assert len(loaded) == 1


def test_an_early_end_shows_what_was_measured(
    loaded: list[tuple[Feature, ...]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Collector, "stop", True)
    assert main(["why", "3000"]) == 0
    out = capsys.readouterr().out
    assert "not checked without msr details" in out
    assert len(loaded) == 1


def test_what_was_measured_is_shown_if_details_cannot_be(
    loaded: list[tuple[Feature, ...]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def collector(target: object, features: Sequence[Feature], *rest: Any) -> Collector:
        if Detail in kinds(tuple(features)):
            raise LoadError("the kernel refuses it")
        return Collector(target, features, *rest)

    monkeypatch.setattr(why_live, "Collector", collector)
    assert main(["why", "0.05"]) == 0
    out = capsys.readouterr().out
    assert "msr details were not counted: the kernel refuses it" in out
    assert "not checked without msr details" in out
    assert len(loaded) == 1


def test_a_vm_that_does_not_run_is_an_error(
    loaded: list[tuple[Feature, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why", "mail"]) == 1
    assert "no VM matches 'mail'" in capsys.readouterr().err
    assert not loaded
