"""How a worker is started, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kstats.loader import process, worker
from kstats.loader.answers import Refusal
from kstats.loader.process import Worker
from tests.cli.process import ROOT


@pytest.fixture(params=[True, False], ids=["copy", "new process"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start workers in one way, then in the other."""
    monkeypatch.setattr(process, "may_fork", lambda: request.param)


ALONE = "from kstats.loader.process import may_fork; print(may_fork())"
TWO = f"""
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
{ALONE}
"""


@pytest.mark.parametrize(
    ("code", "environment", "may"),
    [(ALONE, {}, True), (TWO, {}, False), (ALONE, {"LD_LIBRARY_PATH": "/none"}, False)],
)
def test_a_linker_variable_or_a_second_thread_needs_a_new_process(
    code: str, environment: dict[str, str], *, may: bool
) -> None:
    """The copy would load other libraries, or wait for a lock that nobody releases."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.decode() == f"{may}\n"


@pytest.mark.usefixtures("either_way")
def test_an_invalid_plan_ends_the_worker_with_a_traceback() -> None:
    """It is an error of kstats, which --debug shows."""
    with Worker("prebuilt") as made:
        answer, fds, log = made.run({"not": "a plan"})
    assert fds == []
    if "error" in answer:  # where bpf(2) is forbidden, the plan is not read
        assert answer["error"] == "PrivilegeError"
    else:
        assert answer["unavailable"] == "the loading process ended with 1"
        assert "KeyError: 'probes'" in log


def test_a_copy_that_crashes_makes_its_loader_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The copy inherits what a test replaces."""
    monkeypatch.setattr(process, "may_fork", lambda: True)
    monkeypatch.setattr(worker, "prepare", lambda _: os.kill(os.getpid(), signal.SIGSEGV))
    with Worker("prebuilt") as made:
        answer, fds, _ = made.run({})
    assert answer["unavailable"].startswith("the loading process was killed by signal 11")
    assert fds == []


def test_a_copy_holds_no_descriptor_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or a pipe that the parent closes is closed."""

    def listed(_: str) -> None:
        raise Refusal("LoadError", " ".join(f.name for f in Path("/proc/self/fd").iterdir()))

    monkeypatch.setattr(process, "may_fork", lambda: True)
    monkeypatch.setattr(worker, "prepare", listed)
    reading, writing = os.pipe()
    with Worker("prebuilt") as made:
        os.close(writing)
        assert os.read(reading, 1) == b""
        answer, _, _ = made.run({})
    os.close(reading)
    # The folder of descriptors has one while it is listed.
    assert len(answer["message"].split()) == process.CHANNEL + 2


@pytest.mark.usefixtures("either_way")
def test_a_worker_without_a_plan_ends_when_it_is_closed() -> None:
    """As if a module could not be imported after it was started."""
    made = Worker("prebuilt")
    made.close()
    made.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(made.pid, 0)
