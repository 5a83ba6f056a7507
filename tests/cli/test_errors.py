"""Each error becomes a line, a hint and its status; a bug keeps its traceback."""

from __future__ import annotations

import errno
import re

import pytest

from kstats import errors
from kstats.cli import EXIT_STATUS, INTERRUPTED, compare, decode, guarded
from tests import documented

STATUSES = {
    errors.KstatsError("x"): 1,
    errors.UsageError("x"): 2,
    errors.UnknownNameError("ISA", "x", ("vmx",)): 2,
    errors.PrivilegeError("x"): 3,
    errors.UnsupportedHostError("x"): 4,
    errors.LoadError("x"): 5,
    errors.BackendError("x"): 6,
    errors.RecordingError("x.jsonl", "is empty"): 7,
    errors.MissingLibraryError("zstandard", "compression", "zstandard"): 7,
}
LOG = "bpf/x.c:1:1: warning: w\nbpf/x.c:3:9: error: e\n1 error generated."


def ending(error: BaseException, *, debug: bool = False) -> int:
    """The exit status of a command that ends with ``error``."""

    def command() -> int:
        raise error

    return guarded(command, debug=debug)


def test_every_kind_of_error_has_its_status_in_this_table() -> None:
    # OutputError takes this process's own output away: it is in test_streams.py.
    known = {errors.OutputError, *map(type, STATUSES)}
    assert known == {kind for kind in vars(errors).values() if isinstance(kind, type)}


def test_help_the_page_and_the_documents_list_every_status() -> None:
    """Beside those of errors: success, the results of decode, compare and why, and ^C."""
    help_ = {int(line.split()[0]) for line in EXIT_STATUS.splitlines()[1:]}
    text = (documented.ROOT / "docs/output.md").read_text(encoding="utf-8")
    table = text.partition("## Exit status")[2]
    assert help_ == set(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE)))
    page = (documented.ROOT / "man/kstats.8.in").read_text(encoding="utf-8")
    assert help_ == set(map(int, re.findall(r"^\.It (\d+)$", page, re.MULTILINE)))
    assert help_ == {0, *STATUSES.values(), decode.INCOMPLETE, compare.CROSSED, INTERRUPTED}


@pytest.mark.parametrize("error", STATUSES, ids=lambda error: type(error).__name__)
def test_an_error_ends_with_its_status(
    error: errors.KstatsError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error) == STATUSES[error]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == f"kstats: {error}"


def test_a_hint_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    ending(errors.KstatsError("what is wrong", "what to do"))
    assert capsys.readouterr().err == "kstats: what is wrong\nkstats: hint: what to do\n"


def test_of_a_log_the_line_that_says_most_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    ending(errors.LoadError("not compiled", log=LOG))
    assert capsys.readouterr().err.splitlines() == [
        "kstats: not compiled",
        "kstats: bpf/x.c:3:9: error: e",
        "kstats: hint: --debug shows the whole log of the compiler and the kernel",
    ]


def test_with_debug_all_of_a_log_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    ending(errors.LoadError("not compiled", "fix it", LOG), debug=True)
    assert capsys.readouterr().err.splitlines() == [
        "kstats: not compiled",
        *LOG.splitlines(),
        "kstats: hint: fix it",
    ]


def test_an_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [ValueError("v"), OSError(errno.EINVAL, "bpf")])
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        ending(error)
