"""Why nothing was loaded: the table in docs/loading.md has these messages and statuses."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from kstats import errors
from kstats.loader import compiled, program, syscall, worker
from kstats.loader.answers import Refusal
from kstats.loader.plan import Plan
from tests.documented import ROOT

PLAN = Plan("", {}, (), (), (), ())
FORBIDDEN = PermissionError(1, "Operation not permitted")


def forbidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusal]:
    """Yield why bpf(2) is forbidden, whatever this process is permitted."""
    for capable, filtered in itertools.product((False, True), repeat=2):
        monkeypatch.setattr(worker, "may_load", lambda capable=capable: capable)
        monkeypatch.setattr(worker, "syscalls_are_filtered", lambda filtered=filtered: filtered)
        yield worker.forbidden(FORBIDDEN)


def refusal(call: Callable[[], object]) -> Refusal:
    """Return why a call of the worker refuses."""
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


def raised(monkeypatch: pytest.MonkeyPatch) -> Iterator[errors.KstatsError]:
    """Yield errors as the command line prints them."""

    def missing(*_: object, **__: object) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(syscall, "raw_tracepoint_args", missing)
    monkeypatch.setattr(syscall, "attach_raw_tracepoint", missing)
    refusals = (
        *forbidden(monkeypatch),
        refusal(worker.exit_args),
        refusal(lambda: worker.choose([], 2, lambda: pytest.fail("it needs no types"))),
        refusal(lambda: worker.attach("kvm_exit", 0, "raw")),
        refusal(lambda: compiled.translated(lambda: 1 / 0)),
    )
    for one in refusals:
        with pytest.raises(errors.KstatsError) as caught:
            program.finish("prebuilt", one.answer, [], "")
        yield caught.value
    with pytest.raises(errors.LoadError) as caught_error:
        program.load(PLAN, "prebuilt")
    yield caught_error.value


def test_the_documented_messages_are_those_that_are_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {str(error): error.status for error in raised(monkeypatch)}
    text = (ROOT / "docs/loading.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (\d) \|", text, re.MULTILINE)
    listed = {message.removeprefix("… "): int(status) for message, status in rows}
    for message, status in listed.items():
        assert {code for printed, code in found.items() if message in printed} == {status}, message
    for printed in found:
        assert any(message in printed for message in listed), printed
