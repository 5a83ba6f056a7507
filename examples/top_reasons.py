#!/usr/bin/env python3
"""Which exits each VM of QEMU or libvirt makes most, every few seconds.

    top_reasons.py [--all] [--top N] [interval [count]]

As root. ``--all`` shows the VMs of other VMMs, too. It uses nothing but kstats.api.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping

from kstats import api

SHOWN = (api.Kind.QEMU, api.Kind.LIBVIRT)


def by_vm(sample: api.Sample) -> Mapping[api.Vm, Counter[str]]:
    """How often each VM left its guest in a sample, by reason; also VMs that did not."""
    found: dict[api.Vm, Counter[str]] = {t.vm: Counter() for t in sample.threads.values()}
    for code, places in sample.exits.items():
        for place, exits in places.items():
            if place.thread in sample.threads:
                vm = sample.threads[place.thread].vm
                found[vm][api.reason(*code).name] += exits.count
    return found


def line(vm: api.Vm, reasons: Counter[str], top: int, elapsed: float) -> str:
    """A VM's line: exits a second, and the share of its most frequent reasons."""
    total = reasons.total()
    shares = [f"{name} {100 * n / total:.0f}%" for name, n in reasons.most_common(top) if n]
    name = api.printable(vm.name) or "?"
    return f"{name} ({vm.kind}, pid {vm.pid}): {total / elapsed:.0f} exits/s  {', '.join(shares)}"


def main() -> int:
    """Prints a line for each VM, every interval."""
    p = argparse.ArgumentParser(description="which exits each VM makes most")
    p.add_argument("--all", action="store_true", help="VMs of every VMM, not of QEMU and libvirt")
    p.add_argument("--top", type=int, default=3, metavar="N", help="reasons to show (default 3)")
    p.add_argument("interval", type=float, nargs="?", default=5.0, help="seconds (default 5)")
    p.add_argument("count", type=int, nargs="?", help="how many times (default: until ^C)")
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
