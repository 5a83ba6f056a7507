"""Loading as the parent process sees it, with children that fail in every way."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from kstats.errors import LoadError, PrivilegeError, UnsupportedHostError
from kstats.loader import bcc_python, program
from kstats.loader.plan import Plan

PLAN = Plan("", {}, (), (), (), ())


def script(path: Path, *lines: str) -> str:
    """Write a program to run instead of the child's interpreter; return its path."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def open_files() -> int:
    """Return the number of descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def package(folder: Path, *files: str) -> Path:
    """Create a package named bcc with ``files`` in ``folder``; return the folder."""
    for name in ("__init__.py", *files):
        (folder / "bcc").mkdir(parents=True, exist_ok=True)
        (folder / "bcc" / name).touch()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run with a Python that has no bcc, on a distribution without bcc."""
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "path")])
    monkeypatch.setattr(bcc_python, "DISTRIBUTION_PYTHON", str(tmp_path / "usr/bin/python3"))
    return tmp_path


def test_a_child_that_fails_is_reported_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = script(tmp_path / "python", "cat > /dev/null", "echo last words >&2", "exit 3")
    monkeypatch.setattr(bcc_python, "python_with_bcc", lambda: child)
    with pytest.raises(LoadError, match="the loading process ended with 3") as caught:
        program.load(PLAN, "bcc")
    assert caught.value.log == "last words"
    assert caught.value.complaint == "last words"


def test_a_killed_child_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by the kernel when the compiler needs more memory than there is."""
    child = script(tmp_path / "python", "kill -KILL $$")
    monkeypatch.setattr(bcc_python, "python_with_bcc", lambda: child)
    with pytest.raises(LoadError, match=r"the loading process was killed by signal 9 \(Killed\)"):
        program.load(PLAN, "bcc")


def test_a_child_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = script(tmp_path / "python", "exit 1")
    monkeypatch.setattr(bcc_python, "python_with_bcc", lambda: child)
    before = open_files()
    with pytest.raises(LoadError):
        program.load(PLAN, "bcc")
    assert open_files() == before


@pytest.mark.parametrize(
    ("kind", "status"), [(PrivilegeError, 3), (UnsupportedHostError, 4), (LoadError, 5)]
)
def test_an_error_of_the_child_becomes_one_of_the_parent(kind: type, status: int) -> None:
    answer = {"error": kind.__name__, "message": "what", "hint": "how"}
    error = program._error(answer, "log")
    assert type(error) is kind
    assert (str(error), error.hint, error.status) == ("what", "how", status)
    assert getattr(error, "log", "log") == "log"


def test_closing_a_program_closes_every_descriptor_once() -> None:
    fds = [os.memfd_create("one"), os.memfd_create("two")]
    answer = {
        "loader": "bcc",
        "unavailable": [["prebuilt", "why"]],
        "probe": "raw",
        "rejected": [["a", "b"]],
        "absent": [["c", "d"]],
        "numbers": {"A": 1},
        "log": "what bcc printed",
        "names": NAMES,
    }
    loaded = program.Loaded(answer, fds)
    assert loaded.programs == {"on_exit": fds[0]}
    assert loaded.rejected == (("a", "b"),)
    assert loaded.absent == (("c", "d"),)
    with loaded:
        loaded.close()
    for fd in fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


NAMES: Sequence[str] = ("program:on_exit", "link:kvm_exit")


def test_this_pythons_own_bcc_comes_first(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(package(elsewhere / "path", "libbcc.py"))])
    package(elsewhere / "usr/lib/python3/dist-packages")
    assert bcc_python.python_with_bcc() == sys.executable


def test_any_other_python_uses_the_bcc_of_the_distribution(elsewhere: Path) -> None:
    package(elsewhere / "usr/lib/python3/dist-packages")
    assert not bcc_python.has_bcc()
    assert bcc_python.python_with_bcc() == bcc_python.DISTRIBUTION_PYTHON


def test_another_projects_bcc_does_not_hide_the_distributions(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bcc on the package index is unrelated to BPF."""
    monkeypatch.setattr(sys, "path", [str(package(elsewhere / "path"))])
    package(elsewhere / "usr/lib/python3.11/site-packages")
    assert not bcc_python.has_bcc()
    assert bcc_python.python_with_bcc() == bcc_python.DISTRIBUTION_PYTHON


def test_without_any_bcc_this_python_is_used_and_reports_it(elsewhere: Path) -> None:
    assert not bcc_python.distribution_has_bcc()
    assert bcc_python.python_with_bcc() == sys.executable
    assert elsewhere


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        ("", ""),
        (
            "bpf/x.c:1:1: warning: w\nbpf/x.c:3:9: error: use of undeclared\n1 error generated.",
            "bpf/x.c:3:9: error: use of undeclared",
        ),
        (
            "0: R1=ctx() R10=fp0\ncannot use helper foo#58\nprocessed 19 insns (limit 1000000)",
            "cannot use helper foo#58",
        ),
        ("Traceback (most recent call last):\n  File x\nMemoryError", "MemoryError"),
        ("processed 0 insns", ""),
    ],
)
def test_the_complaint_is_the_most_specific_line_of_the_log(log: str, complaint: str) -> None:
    assert LoadError("", log=log).complaint == complaint
