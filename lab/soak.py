"""Boot an emulated host again and again under the load that is hardest to survive.

`python -m lab.soak HOST --runs 50`. Both CPUs of the host run vCPUs, while VMs come and go and
tracepoints are switched on and off: all of these make the kernel patch its own code as it runs,
which an emulator has to notice on every CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import attrs

from lab.hosts import Host, HostError, Recipe, boot, find
from lab.payload import payload

ROUNDS = 8
DEADLINE = 600
FLEET = "python3 /payload/vmm/vmm.py --vms 2 --vcpus 2 --cpu 0,1 --workload demo --laps 1"
EVENTS = "/sys/kernel/tracing/events/kvm"
# Report each switch, to prove that tracepoints were switched while vCPUs ran.
SWITCH = f"""
while :; do
    for on in 1 0; do
        for event in kvm_entry kvm_exit; do echo $on >{EVENTS}/$event/enable; done
    done
    echo switched
done
"""


@attrs.frozen
class Run:
    """What one boot of a host survived.

    Attributes:
        switched: How often the two tracepoints were switched on and off.
        seconds: Of real time, booting included.
        lost: Why the host was lost, with the end of its console log; empty if it survived.
    """

    switched: int
    seconds: float
    lost: str = ""

    def __str__(self) -> str:
        state = f"LOST: {self.lost}" if self.lost else "survived"
        return f"{state}, tracepoints switched {self.switched} times, {self.seconds:.0f} s"


def soak(recipe: Recipe, shared: Path, rounds: int) -> Run:
    """Boot a host, and start and end VMs in it `rounds` times."""
    begun = time.monotonic()
    switched = 0
    lost = ""
    try:
        with boot(recipe, shared) as host:
            switched = _load(host, rounds)
    except HostError as error:
        lost = str(error)
    return Run(switched, time.monotonic() - begun, lost)


def _load(host: Host, rounds: int) -> int:
    with host.start(SWITCH, timeout=DEADLINE * rounds) as switching:
        switching.wait_output("switched")
        for _ in range(rounds):
            host.run(FLEET, timeout=DEADLINE).check()
        switching.kill()
        return switching.stdout.count("switched")


def main() -> int:
    """Run the command line; return 1 if a host was lost."""
    parser = argparse.ArgumentParser(prog="python -m lab.soak", description=__doc__)
    parser.add_argument("host", help="name of the host; see python -m lab.hosts list")
    parser.add_argument("--runs", type=int, default=50, help="boots (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="fleets of VMs in each boot (%(default)s)"
    )
    options = parser.parse_args()
    recipe, shared = find(options.host), payload()
    lost = 0
    for number in range(1, options.runs + 1):
        run = soak(recipe, shared, options.rounds)
        lost += bool(run.lost)
        print(f"run {number}: {run}", flush=True)
    print(f"{options.host} was lost in {lost} of {options.runs} runs")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
