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
The report is one JSON object on one line, printed when all guests are done. Its "expected" is
what the kernel must have counted for that vCPU's thread. Exit status: 0; 1 if --check found a
difference; 2 after an error, with one line about it.
"""


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    made = argparse.ArgumentParser(
        prog="vmm.py",
        description="Run KVM guests whose VM exits are known to the unit.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_guests(made.add_argument_group("guests"))
    _add_times(made.add_argument_group("when"))
    _add_others(made.add_argument_group("instead of running guests"))
    return made


def _add_guests(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    mixes = " ".join(MIXES)
    text = f"what every vCPU does: see --kinds; or a mix: {mixes} (default: demo)"
    add("--workload", metavar="KIND=N,KIND@ARG=N,…", default="demo", help=text)
    add("--isa", choices=("auto", *ISAS), default="auto", help="default: this machine's")
    add("--vms", type=int, default=1, metavar="N", help="VMs at once, a process each")
    add("--vcpus", type=int, default=1, metavar="N", help="vCPUs of each VM")
    text = "physical CPUs for the vCPUs, used round and round (default: not pinned)"
    add("--cpu", type=_cpus, default=(), metavar="N,N,…", dest="cpus", help=text)
    text = "CPUs to move to after the first half of every count"
    add("--move", type=_cpus, default=(), metavar="N,N,…", help=text)
    text = "open KVM's statistics of every vCPU, as QEMU does since 8.1"
    add("--stats", action="store_true", help=text)
    add("--guests", type=Path, default=FOLDER, metavar="FOLDER", help="where their binaries are")


def _add_times(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--laps", type=int, default=1, metavar="N", help="run the workload N times; 0: endlessly")
    text = "the same as --laps 0: until SIGTERM or ^C"
    add("--forever", action="store_const", const=0, dest="laps", help=text)
    text = "start a lap at most this often"
    add("--period", type=float, default=0.0, metavar="SECONDS", help=text)
    text = "answer the guest's accesses to ports and devices so much later, but not its rings"
    add("--delay", type=int, default=0, metavar="MICROSECONDS", help=text)
    text = "say when ready, begin when a byte comes on stdin"
    add("--wait", action="store_true", help=text)
    text = "keep the VMs afterwards: so long, or until stdin ends; SIGTERM ends both"
    add("--hold", type=float, nargs="?", const=math.inf, default=0.0, metavar="SECONDS", help=text)
    text = "give up on guests after this long (default: %(default)s); 0: never"
    add("--timeout", type=float, default=300.0, metavar="SECONDS", help=text)


def _add_others(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--kinds", action="store_true", help="list the kinds of work and their exits")
    add("--expect", action="store_true", help="say what is expected of a workload")
    text = "compare every kind with what this kernel counts (root, tracefs)"
    add("--check", action="store_true", help=text)


def _cpus(text: str) -> tuple[int, ...]:
    return tuple(int(cpu) for cpu in text.split(","))
