"""Fixtures for all tests: tests marked ``root`` fail with a reason where BPF cannot be loaded."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

from kstats.loader import program, syscall

# No deadline, because the machine may be busy; few examples, because the suite should take seconds.
# In CI the examples are the same each time; runs by hand look for new ones.
settings.register_profile(
    "kstats", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("kstats")

# A shell starts background jobs with SIGINT ignored, and the processes of tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test if this machine lacks its prerequisites; no test is skipped."""
    if item.get_closest_marker("root"):
        lacking = _lacking()
        if lacking:
            pytest.fail(f"this test loads BPF programs: {lacking}", pytrace=False)


def _lacking() -> str:
    if os.geteuid():
        return "run it as root, or exclude it with -m 'not root'"
    if not program.has_bcc() and not program.distribution_has_bcc():
        return "install bcc: apt install python3-bpfcc"
    try:
        syscall.raw_tracepoint_args("kvm_exit")
    except FileNotFoundError:
        return "load the kvm module, which defines the tracepoints"
    except OSError as error:
        return f"the kernel refuses: {error.strerror}"
    return ""
