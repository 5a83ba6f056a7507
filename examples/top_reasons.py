#!/usr/bin/env python3
"""Show the most frequent exits of each VM of QEMU or libvirt, every few seconds.

    top_reasons.py [--all] [--top N] [interval [count]]

Run it as root. ``--all`` also shows the VMs of other VMMs. The program uses only kstats.api.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping

from kstats import api

SHOWN = (api.Kind.QEMU, api.Kind.LIBVIRT)


def by_vm(sample: api.Sample) -> Mapping[api.Vm, Counter[str]]:
    """Return the exits of each VM in a sample by reason, including VMs without exits."""
    found: dict[api.Vm, Counter[str]] = {t.vm: Counter() for t in sample.threads.values()}
    for code, places in sample.exits.items():
        for place, exits in places.items():
            if place.thread in sample.threads:
                vm = sample.threads[place.thread].vm
                found[vm][api.reason(*code).name] += exits.count
    return found


def line(vm: api.Vm, reasons: Counter[str], top: int, elapsed: float) -> str:
    """Return the line of a VM: exits per second, and the shares of its most frequent reasons."""
    total = reasons.total()
    shares = [f"{name} {100 * n / total:.0f}%" for name, n in reasons.most_common(top) if n]
    name = api.printable(vm.name) or "?"
    return f"{name} ({vm.kind}, pid {vm.pid}): {total / elapsed:.0f} exits/s  {', '.join(shares)}"


def main() -> int:
    """Print a line per VM and interval; return the exit status."""
    p = argparse.ArgumentParser(description="Show the most frequent exits of each VM.")
    p.add_argument("--all", action="store_true", help="show the VMs of every VMM")
    p.add_argument("--top", type=int, default=3, metavar="N", help="reasons to show (default 3)")
    p.add_argument("interval", type=float, nargs="?", default=5.0, help="seconds (default 5)")
    p.add_argument("count", type=int, nargs="?", help="number of reports (default: until ^C)")
    args = p.parse_args()
    try:
        with api.collect("thread") as collector:
            for sample in api.samples(collector, args.interval, args.count):
                print(sample.timestamp, flush=True)
                for vm, reasons in by_vm(sample).items():
                    if args.all or vm.kind in SHOWN:
                        print(" ", line(vm, reasons, args.top, sample.elapsed), flush=True)
    except api.KstatsError as error:
        print(f"top_reasons: {error}\n{error.hint}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
