"""Fixtures for all tests: tests marked ``root`` fail with a reason where BPF cannot be loaded."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from kstats import privileges
from kstats.loader import bcc_python, syscall
from lab.hosts import RECIPES

# No deadline, because the machine may be busy; few examples, because the suite should take seconds.
# In CI the examples are the same each time; runs by hand look for new ones.
settings.register_profile(
    "kstats", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("kstats")

# A shell starts background jobs with signals ignored, as does nohup, and the processes of tests
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(_number, signal.SIG_DFL)


# The longest names first: svm-5.10 is not svm.
_HOSTS = "|".join(sorted((re.escape(recipe.name) for recipe in RECIPES), key=len, reverse=True))
_HOST_OF_TEST = re.compile(rf"[-\[]({_HOSTS})[-\]]")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """With ``--dist loadscope``, give all tests of an emulated host to one worker."""
    if config.getvalue("dist") != "loadscope":
        return None
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _host_or_test
    return scheduler


def _host_or_test(nodeid: str) -> str:
    # The scheduler knows tests by their names only; the host is one of a test's parameters.
    found = _HOST_OF_TEST.search(nodeid)
    return found[1] if found else nodeid


@pytest.fixture(autouse=True)
def _keep_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands that a test runs in its own process leave that its capabilities."""
    monkeypatch.setattr(privileges, "drop", lambda _=(): ())


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test if this machine lacks its prerequisites; no test is skipped."""
    if item.get_closest_marker("root"):
        lacking = _lacking()
        if lacking:
            pytest.fail(f"this test loads BPF programs: {lacking}", pytrace=False)


def _lacking() -> str:
    if os.geteuid():
        return "run it as root, or exclude it with -m 'not root'"
    if not bcc_python.has_bcc() and not bcc_python.distribution_has_bcc():
        return "install bcc: apt install python3-bpfcc"
    try:
        syscall.raw_tracepoint_args("kvm_exit")
    except FileNotFoundError:
        return "load the kvm module, which defines the tracepoints"
    except OSError as error:
        return f"the kernel refuses: {error.strerror}"
    return ""
