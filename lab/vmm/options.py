"""The VMM's options."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Final

from .guest import FOLDER
from .kinds import ISAS
from .workload import MIXES

_EPILOG: Final = """\
The report is one JSON object on one line, printed when all guests are done. "expected" has the
exits that the kernel must have counted for the thread of a vCPU. Exit status: 0; 1 if --check found
a difference; 2 after an error.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="vmm.py",
        description="Run KVM guests that make an exactly known number of VM exits.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_guests(made.add_argument_group("guests"))
    _add_times(made.add_argument_group("time"))
    _add_others(made.add_argument_group("instead of running guests"))
    return made


def _add_guests(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    mixes = " ".join(MIXES)
    text = f"work of each vCPU: see --kinds; or a mix: {mixes} (default: demo)"
    add("--workload", metavar="KIND=N,KIND@ARG=N,…", default="demo", help=text)
    add("--isa", choices=("auto", *ISAS), default="auto", help="default: this machine's")
    add("--vms", type=int, default=1, metavar="N", help="number of VMs, each in a process")
    add("--vcpus", type=int, default=1, metavar="N", help="vCPUs of each VM")
    text = "physical CPUs for the vCPUs, used in turn (default: not pinned)"
    add("--cpu", type=_cpus, default=(), metavar="N,N,…", dest="cpus", help=text)
    text = "CPUs to move to after half of the work"
    add("--move", type=_cpus, default=(), metavar="N,N,…", help=text)
    text = "open KVM's statistics of each vCPU, as QEMU does since 8.1"
    add("--stats", action="store_true", help=text)
    add("--guests", type=Path, default=FOLDER, metavar="FOLDER", help="folder of the binaries")


def _add_times(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--laps", type=int, default=1, metavar="N", help="run the workload N times; 0: forever")
    text = "run until SIGTERM or ^C; same as --laps 0"
    add("--forever", action="store_const", const=0, dest="laps", help=text)
    text = "start a lap at most every SECONDS"
    add("--period", type=float, default=0.0, metavar="SECONDS", help=text)
    text = "delay the answers to accesses of ports and devices"
    add("--delay", type=int, default=0, metavar="MICROSECONDS", help=text)
    text = "report readiness; start when there is a byte on stdin"
    add("--wait", action="store_true", help=text)
    text = "keep the VMs afterwards: so long, or until stdin or SIGTERM ends them"
    add("--hold", type=float, nargs="?", const=math.inf, default=0.0, metavar="SECONDS", help=text)
    text = "give up after SECONDS (default: %(default)s); 0: never"
    add("--timeout", type=float, default=300.0, metavar="SECONDS", help=text)


def _add_others(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--kinds", action="store_true", help="list the kinds of work, and their exits")
    add("--expect", action="store_true", help="print the expected exits of a workload")
    text = "compare all kinds with this kernel's trace (needs root and tracefs)"
    add("--check", action="store_true", help=text)


def _cpus(text: str) -> tuple[int, ...]:
    return tuple(int(cpu) for cpu in text.split(","))
