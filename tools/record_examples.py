"""Record the files in examples/recordings, with guests of the same kind in emulated KVM hosts.

Run: .venv/bin/python -m tools.record_examples HOST…  (arm64, svm, vmx)

tests/data/recordings has the first samples of older recordings.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lab.hosts import Host, boot, find
from lab.payload import payload
from lab.vmm.workload import MIXES
from tests.live.kstats import ATTACHED

EXAMPLES = Path(__file__).parent.parent / "examples" / "recordings"
INSIDE = "/run/example.jsonl"
GATE = "/run/gate"
GUESTS = f"exec python3 /payload/vmm/vmm.py --forever --period 0.5 --vms 2 --vcpus 2 <>{GATE}"
PART = 8
"""Divides the usual workload, so that each sample has several rounds of it even in Bochs."""

SAMPLES = "30"
DEADLINE = 1500


def workload(isa: str) -> str:
    """Return a part of the demonstration's workload."""
    return re.sub(r"(?<==)\d+", lambda n: str(max(1, int(n[0]) // PART)), MIXES["demo"][isa])


def record(host: Host, isa: str) -> bytes:
    """Record half a minute of two VMs, which start once counting has begun.

    Busy guests would slow down bcc's compiler.
    """
    host.run(["mkfifo", GATE]).check()
    guests = f"{GUESTS} --timeout 0 --wait --workload {workload(isa)}"
    words = ["kstats", "record", "-o", INSIDE, "--debug", "1", SAMPLES]
    with host.start(guests, timeout=2 * DEADLINE) as vms:
        vms.wait_output('"ready"')
        with host.start(words, timeout=DEADLINE) as recorder:
            recorder.wait_output(ATTACHED)
            host.run(f"echo >{GATE}").check()
            recorder.wait().check()
    return host.get(INSIDE)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with boot(find(name), payload=payload()) as booted:
            (EXAMPLES / f"{name}.jsonl").write_bytes(record(booted, isa=name))
