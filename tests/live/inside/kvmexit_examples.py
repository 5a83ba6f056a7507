"""Run commands in a host, each with VMs that make their exits while it counts.

Standard input is a JSON list of commands with the options of their VMs; ``$PID`` is the first VM,
``$TID0``, ``$TID1`` … are the threads of its vCPUs. Standard output is a list with the output and
the status of each command, and the reports of its VMs, in the same order.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from string import Template
from subprocess import PIPE, Popen
from typing import Any

VMM = ("python3", "/payload/vmm/vmm.py", "--wait", "--hold")
AT_ONCE = 2  # as many as most hosts have CPUs


def run(example: dict[str, Any]) -> dict[str, Any]:
    """Start the VMs, then the command; start the guests once it counts."""
    words = [*VMM, *example["vms"]]
    with Popen(words, stdin=PIPE, stdout=PIPE, text=True) as vmm:
        assert vmm.stdin
        assert vmm.stdout
        first, *_ = json.loads(vmm.stdout.readline())["ready"]
        numbers = {f"TID{vcpu['vcpu']}": vcpu["tid"] for vcpu in first["vcpus"]}
        command = Template(example["command"]).substitute(numbers, PID=first["pid"])
        with Popen(shlex.split(command), stdout=PIPE, stderr=PIPE, text=True) as counting:
            assert counting.stdout
            title = counting.stdout.readline()
            if not example["interrupt"]:
                # It ends by itself, and the guests may need longer than that: BPF goes on counting.
                counting.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, counting.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            vmm.stdin.write("\n")
            vmm.stdin.flush()
            vms = json.loads(vmm.stdout.readline())["vms"]
            counting.send_signal(signal.SIGINT if example["interrupt"] else signal.SIGCONT)
            output, errors = counting.communicate()
        vmm.stdin.close()
    return {
        "command": command,
        "title": title,
        "output": output,
        "errors": errors,
        "status": counting.returncode,
        "vms": vms,
    }


if __name__ == "__main__":
    with ThreadPoolExecutor(AT_ONCE) as pool:
        print(json.dumps(list(pool.map(run, json.load(sys.stdin)))))
