"""Runs the tests in emulated hosts: ``python -m tests.live``, then words for pytest.

A lost host says nothing of what was tested in it, so its tests run once more, in a host booted
anew. QEMU's threads now and then run code that the kernel of the host has just patched, and KVM's
tracepoints are switched on by patching: a guest that runs meanwhile may take its host along.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.hosts import HostLost

MARKED = ("-m", "host")


class Failures:
    """A plugin that tells tests whose host was lost from those that failed."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self.others: dict[str, None] = {}

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Called by pytest after each phase of a test."""
        if call.excinfo is not None:
            kind = self.lost if isinstance(call.excinfo.value, HostLost) else self.others
            kind[f"{item.path}::{item.nodeid.partition('::')[2]}"] = None


def main(words: list[str]) -> int:
    """Runs them; returns pytest's exit status."""
    failures = Failures()
    status = int(pytest.main([*MARKED, *words], plugins=[failures]))
    if not failures.lost:
        return status
    print(f"\n{len(failures.lost)} tests lost their host: they run once more", flush=True)
    again = [sys.executable, "-m", "pytest", *MARKED, *failures.lost]
    return subprocess.run(again, check=False).returncode or bool(failures.others)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
