"""Records the examples in examples/recordings: the same kind of guest in emulated KVM hosts.

Run: .venv/bin/python -m tools.record_examples HOST…  (arm64, svm, vmx)

The beginnings of those that were made first are in tests/data/recordings, to be read for ever.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hosts import boot, find
from tests.payload import payload

EXAMPLES = Path(__file__).parent.parent / "examples" / "recordings"
INSIDE = "/run/example.jsonl"
GUESTS = (
    *("python3", "/payload/vmm/vmm.py", "--workload", "demo", "--forever"),
    *("--vms", "2", "--vcpus", "2", "--period"),
)
PACES = {"vmx": ("1.0", "12")}
"""Seconds between the guests' laps, and samples: Bochs is no fast machine."""

USUAL = ("0.2", "30")
DEADLINE = 1500


def record(name: str) -> None:
    """Records half a minute of two busy VMs in a host."""
    period, samples = PACES.get(name, USUAL)
    guests = [*GUESTS, period]
    with boot(find(name), payload=payload()) as host, host.start(guests, timeout=2 * DEADLINE):
        host.run(["kstats", "record", "-o", INSIDE, "1", samples], timeout=DEADLINE).check()
        (EXAMPLES / f"{name}.jsonl").write_bytes(host.get(INSIDE))


if __name__ == "__main__":
    for host_name in sys.argv[1:]:
        record(host_name)
