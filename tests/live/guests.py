"""Guests of the small VMM in an emulated host, and what the kernel must have counted for them."""

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
    """Runs a guest to its end and keeps its VM for the block, which gets the VMM's report."""
    with host.start([*VMM, *options, "--hold", "600"], timeout=600) as vmm:
        vmm.wait_output('"vms"')
        yield json.loads(vmm.stdout)
        vmm.stop(signal.SIGTERM)


def identity(exit_: Exit) -> ExitId:
    """An exit of the oracle as the JSON reports identify it."""
    if exit_.code is None:  # arm64: IRQ, the only one that is no trap
        return exit_.isa, 0, _RETURN_CODE
    return exit_.isa, exit_.code, _QUALIFIER.get(exit_.access, 0)


def expected(text: str, isa: str) -> Counter[ExitId]:
    """What one vCPU with this workload makes the kernel count, where it is certain."""
    counts = workloads.expected_exits(workloads.parse(text), isa)
    return Counter({identity(exit_): n for exit_, n in counts.items()})


def at_any_time(text: str, isa: str) -> set[ExitId]:
    """The exits that may come in any number beside the expected ones."""
    return {identity(exit_) for exit_ in workloads.inexact(workloads.parse(text), isa)}
