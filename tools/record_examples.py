"""Records the examples in examples/recordings: the same kind of guest in emulated KVM hosts.

Run: .venv/bin/python -m tools.record_examples HOST…  (arm64, svm, vmx)

The beginnings of those that were made first are in tests/data/recordings, to be read for ever.
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
"""A lap is so much of the usual mix: as Bochs is slow, and a sample is to see more than one."""

SAMPLES = "30"
DEADLINE = 1500


def workload(isa: str) -> str:
    """A part of everything that the demonstration's guests do."""
    return re.sub(r"(?<==)\d+", lambda n: str(max(1, int(n[0]) // PART)), MIXES["demo"][isa])


def record(host: Host, isa: str) -> bytes:
    """Records half a minute of two VMs, which begin once the recording has.

    Guests that are busy would keep bcc's compiler waiting.
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
