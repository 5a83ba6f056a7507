"""Run `make run`: show kstats cpu on this machine, or in an emulated host if it has no KVM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kstats import errors
from kstats.collector.percpu import PER_CPU
from kstats.collector.target import Target
from lab.hosts import boot, find
from lab.payload import payload

REPORTS = ["kstats", "cpu", "1", "5"]
HOST = "arm64"
GUEST = ["python3", "/payload/vmm/vmm.py", "--forever", "--period", "0.2", "--vcpus", "2"]
_ROOT = Path(__file__).parent.parent


def main() -> int:
    """Show five reports; return the exit status."""
    try:
        Target.find().load(PER_CPU, attach=False).close()
    except errors.KstatsError as error:
        print(f"No live reports from this machine: {error}", flush=True)
    else:
        return subprocess.call([sys.executable, "-m", *REPORTS])
    return _in_emulated_host()


def _in_emulated_host() -> int:
    subprocess.run([_ROOT / "tools/need", f"@{_ROOT}/lab/hosts/packages.txt"], check=True)
    print(f"Booting an emulated {HOST} KVM host with a busy guest; kstats runs in it.", flush=True)
    with boot(find(HOST), payload=payload()) as host, host.start(GUEST):
        command = host.start(REPORTS, sink=_show)
        print(f"\n# {' '.join(REPORTS)}        (Linux {host.kernel}, {HOST})", flush=True)
        return command.wait().status


def _show(stream: str, data: bytes) -> None:
    os.write(1 if stream == "stdout" else 2, data)


if __name__ == "__main__":
    sys.exit(main())
