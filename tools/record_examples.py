"""Records the same kind of guest in emulated KVM hosts: for examples, and to be read for ever.

Run: .venv/bin/python -m tools.record_examples HOST…  (arm64, svm, vmx)

examples/recordings gets half a minute, tests/data/recordings what a view showed and its recording,
by the version of the format: a version that is there already is never made again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kstats.recording.header import VERSION
from tests.hosts import boot, find
from tests.payload import payload

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "recordings"
VERSIONS = ROOT / "tests" / "data" / "recordings"
INSIDE = "/run/example.jsonl"
VIEW = ("kstats", "-v", "1", "5", "--total", "-o", "csv", "--record", INSIDE)
GUESTS = (
    *("python3", "/payload/vmm/vmm.py", "--workload", "demo", "--forever"),
    *("--vms", "2", "--vcpus", "2", "--period"),
)
PACES = {"vmx": ("1.0", "12")}
"""Seconds between the guests' laps, and samples: Bochs is no fast machine."""

USUAL = ("0.2", "30")
DEADLINE = 1500


def record(name: str) -> None:
    """Records half a minute of two busy VMs in a host, and five seconds as a view shows them."""
    period, samples = PACES.get(name, USUAL)
    guests = [*GUESTS, period]
    with boot(find(name), payload=payload()) as host, host.start(guests, timeout=2 * DEADLINE):
        host.run(["kstats", "record", "-o", INSIDE, "1", samples], timeout=DEADLINE).check()
        (EXAMPLES / f"{name}.jsonl").write_bytes(host.get(INSIDE))
        kept = VERSIONS / f"{VERSION}-{name}.jsonl"
        if not kept.exists():
            host.run(["rm", INSIDE]).check()
            shown = host.run([*VIEW], timeout=DEADLINE).check().stdout
            kept.write_bytes(host.get(INSIDE))
            kept.with_suffix(".csv").write_text(shown, encoding="utf-8")


if __name__ == "__main__":
    for host_name in sys.argv[1:]:
        record(host_name)
