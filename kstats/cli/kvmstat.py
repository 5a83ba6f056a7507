"""``kvmstat``: the operands and the output of the manual page it is known by."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kstats.cli import guarded, options, streams, vcpu

_DESCRIPTION = """\
Report the activity of virtual CPUs: their exits, injected interrupts, emulated instructions.

  kvmstat                  every second until ^C
  kvmstat 5                every five seconds
  kvmstat 1 10             ten reports, one per second
"""


def parser() -> options.Parser:
    """Return the command line of ``kvmstat``."""
    p = options.Parser(
        "kvmstat",
        "kvmstat [-h] [--source bpf|kernel] [--debug] [interval [count]]",
        _DESCRIPTION,
        vcpu.EPILOG,
        vcpu.columns_help,
    )
    vcpu.add_arguments(p)
    p.add_argument("--debug", action="store_true", help="print what is loaded, and how")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kvmstat`` with ``argv``; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: run(words), debug="--debug" in words, prog="kvmstat")


def run(words: list[str]) -> int:
    """Run ``kvmstat``; return the exit status."""
    streams.heed_signals()
    return vcpu.watch(parser().parse(words, vcpu.VcpuOptions))
