"""For all tests: those marked ``root`` fail, and say why, where BPF programs cannot be loaded."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from kstats.loader import program, syscall

# A busy machine is no reason to fail; the whole suite is to take seconds. A gate tries the same
# examples each time: what new ones find is for whoever runs the tests by hand.
settings.register_profile(
    "kstats", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("kstats")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fails a test whose prerequisites this machine lacks; nothing is skipped in silence."""
    if item.get_closest_marker("root"):
        lacking = _lacking()
        if lacking:
            pytest.fail(f"this test loads BPF programs: {lacking}", pytrace=False)


def _lacking() -> str:
    if os.geteuid():
        return "run it as root, or leave it out with -m 'not root'"
    if not program.has_bcc() and not program.distribution_has_bcc():
        return "install bcc: apt install python3-bpfcc"
    try:
        syscall.raw_tracepoint_args("kvm_exit")
    except FileNotFoundError:
        return "load the kvm module, which brings the tracepoints"
    except OSError as error:
        return f"the kernel does not let it: {error.strerror}"
    return ""
