"""The interrupts that a host handles, from /proc/interrupts; see proc(5)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kstats.host import Host

_ROW = re.compile(r" *([\w-]{1,16}):((?: +\d{1,18})+)(?: +(.*))?")
_ACTIONS = re.compile(r".*?(?:\b|-)(?:edge|level|fasteoi|Edge|Level) +(.*)")
"""The controller, its number of the interrupt, how it is triggered, and the devices."""

Interrupts = Mapping[str, Mapping[int, int]]
"""Source → CPU → count; see :attr:`kstats.model.Sample.interrupts`."""


def host_interrupts(host: Host) -> Interrupts:
    """Return the interrupts that each CPU has handled since boot, without zeros."""
    header, *rows = (host.read("proc/interrupts") or "").splitlines() or [""]
    cpus = [int(cpu) for cpu in re.findall(r"CPU(\d{1,6})\b", header, re.ASCII)]
    found: dict[str, dict[int, int]] = {}
    for row in filter(None, map(_ROW.fullmatch, rows)):
        counts = dict(zip(cpus, map(int, row[2].split()), strict=False))
        handled = {cpu: n for cpu, n in counts.items() if n}
        if handled:
            found[_source(row[1], row[3] or "")] = handled
    return found


def newer(before: Interrupts, now: Interrupts) -> Interrupts:
    """Return the interrupts since an earlier reading; a source of which there were none is new."""
    grown = {
        source: {cpu: n - before.get(source, {}).get(cpu, 0) for cpu, n in cpus.items()}
        for source, cpus in now.items()
    }
    # The number of a device that went may belong to another one.
    kept = {source: {cpu: n for cpu, n in of.items() if n > 0} for source, of in grown.items()}
    return {source: cpus for source, cpus in kept.items() if cpus}


def _source(label: str, description: str) -> str:
    if not label.isdecimal():
        return description or label
    actions = _ACTIONS.fullmatch(description)
    return f"IRQ {label} {actions[1] if actions else description}".strip()
