"""``make run``: kstats -v on this machine if its KVM tells of exits, else in an emulated host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kstats import errors
from kstats.collector.live import Target

REPORTS = ["kstats", "-v", "1", "5"]
HOST = "arm64"
GUEST = ["python3", "/payload/vmm/vmm.py", "--forever", "--period", "0.2", "--vcpus", "2"]
_READY_SECONDS = 120
_ROOT = Path(__file__).parent.parent


def main() -> int:
    """Shows five reports; returns the exit status."""
    try:
        Target.find().load(attach=False).close()
    except errors.KstatsError as error:
        print(f"No live reports from this machine: {error}", flush=True)
    else:
        return subprocess.call([sys.executable, "-m", *REPORTS])
    return _in_emulated_host()


def _in_emulated_host() -> int:
    # Everything below needs packages that only the emulated hosts need.
    needed = [f"@{_ROOT}/lab/hosts/packages.txt", *_assemblers()]
    subprocess.run([_ROOT / "tools" / "need", *needed], check=True)
    from lab.hosts import boot, find  # noqa: PLC0415
    from lab.payload import payload  # noqa: PLC0415

    print(f"Booting an emulated {HOST} KVM host with a small busy guest; kstats runs inside.")
    sys.stdout.flush()
    with boot(find(HOST), payload=payload()) as host, host.start(GUEST):
        command = host.start(REPORTS, timeout=_READY_SECONDS, sink=_show)
        print(f"\n# {' '.join(REPORTS)}        (Linux {host.kernel}, {HOST})", flush=True)
        return command.wait().status


def _assemblers() -> tuple[str, ...]:
    from lab.vmm.build import PACKAGES  # noqa: PLC0415

    return PACKAGES


def _show(stream: str, data: bytes) -> None:
    os.write(1 if stream == "stdout" else 2, data)


if __name__ == "__main__":
    sys.exit(main())
