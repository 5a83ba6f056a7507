"""Run guests in an emulated host, and compute the exits that the kernel must count for them."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.hosts import Host
from lab.vmm import workload as workloads
from lab.vmm.kinds import Exit
from tests.live.kstats import ExitId

VMM = ("python3", "/payload/vmm/vmm.py")
_QUALIFIER = {"read": 1, "write": 2}
_RETURN_CODE = 1


@contextmanager
def guest(host: Host, *options: str) -> Iterator[dict[str, Any]]:
    """Run a guest to its end, yield the VMM's report, and keep the VM until the block ends."""
    with host.start([*VMM, *options, "--hold", "600"]) as vmm:
        vmm.wait_output('"vms"')
        yield json.loads(vmm.stdout)
        vmm.stop(signal.SIGTERM)


def identity(exit_: Exit) -> ExitId:
    """Return the identity of an exit in JSON reports."""
    if exit_.code is None:  # arm64's IRQ, the only exit of a guest that is not a trap
        return exit_.isa, 0, _RETURN_CODE
    return exit_.isa, exit_.code, _QUALIFIER.get(exit_.access, 0)


def expected(text: str, isa: str) -> Counter[ExitId]:
    """Return the certain exits of one vCPU with this workload."""
    counts = workloads.expected_exits(workloads.parse(text), isa)
    return Counter({identity(exit_): n for exit_, n in counts.items()})


def at_any_time(text: str, isa: str) -> set[ExitId]:
    """Return the exits that may also occur, in any number."""
    return {identity(exit_) for exit_ in workloads.inexact(workloads.parse(text), isa)}
