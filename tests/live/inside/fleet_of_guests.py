"""Run guests of different kinds, each in a VM of its own, until this program is killed.

The argument is a JSON list of guests: the ``options`` of the VMM, a ``nice`` value, and a ``quota``
of the CPU as in ``cpu.max``, empty for none. Standard output is a list with what the VMM reports of
each VM. Python starts once for all of them, which saves most of the time in an emulated host.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")


def start(guest: dict[str, Any]) -> dict[str, Any]:
    """Start a guest in a process; return what the VMM reports of its VM."""
    here, there = os.pipe()
    if not os.fork():
        os.dup2(there, sys.stdout.fileno())
        run(**guest)
    with os.fdopen(here) as report:
        (ready,) = json.loads(report.readline())["ready"]
    return dict(ready)


def run(options: list[str], nice: int, quota: str) -> None:
    """Run a VMM in this process."""
    os.nice(nice)
    if quota:
        (CGROUPS / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
        group = CGROUPS / "limited"
        group.mkdir()
        (group / "cpu.max").write_text(quota, encoding="ascii")
        (group / "cgroup.procs").write_text("0", encoding="ascii")
    # The byte that lets the guest start.
    here, there = os.pipe()
    os.write(there, b"\n")
    os.dup2(here, sys.stdin.fileno())
    vmm = importlib.import_module("vmm.cli")
    sys.exit(vmm.main(["--forever", "--wait", "--timeout", "0", *options]))


def main() -> None:
    """Start the guests and report them."""
    sys.path.insert(0, "/payload")
    importlib.import_module("vmm.cli")
    print(json.dumps([start(guest) for guest in json.loads(sys.argv[1])]), flush=True)
    os.wait()


if __name__ == "__main__":
    main()
