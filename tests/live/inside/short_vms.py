"""Run VMs that each live for 50 ms, a few at a time; print what each of them did, a line each.

Arguments: how many VMs, and their workload. Each VM is a process with a name of its own. The
processes are forked, because starting Python takes longer than the VM lives.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from lab.vmm import host, workload
from lab.vmm.runner import Plan, VirtualMachine

AT_ONCE = 4
LIFE = 0.05
VCPUS = 2


def run(number: int, plan: Plan) -> None:
    """Run a VM to its end in this process."""
    name = f"short-{number}"
    Path("/proc/self/comm").write_text(name, encoding="ascii")
    machine = VirtualMachine(plan, 0)
    ends = time.monotonic() + LIFE
    machine.start()
    vcpus = [{"tid": vcpu["tid"], "vcpu": vcpu["vcpu"]} for vcpu in machine.join()]
    # One write, so that lines of several processes are not mixed.
    os.write(1, f"{json.dumps({'name': name, 'pid': os.getpid(), 'vcpus': vcpus})}\n".encode())
    time.sleep(max(0, ends - time.monotonic()))


def main() -> None:
    """Run all VMs; fail if one of them does."""
    count, text = int(sys.argv[1]), sys.argv[2]
    plan = Plan(host.isa(), workload.parse(text), vcpus=VCPUS)
    running = 0
    for number in range(count):
        if running == AT_ONCE:
            _reap()
            running -= 1
        if not os.fork():
            run(number, plan)
            os._exit(0)
        running += 1
    for _ in range(running):
        _reap()


def _reap() -> None:
    _, status = os.wait()
    if status:
        sys.exit("a VM failed")


if __name__ == "__main__":
    main()
