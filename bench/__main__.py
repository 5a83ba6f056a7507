"""``make bench``: what kstats costs, as tables, and what has changed since the recorded run.

Without a PART, all but fleet, which measures others' programs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench import (
    counters,
    exporter,
    figures,
    fleet,
    hosts,
    loading,
    maps,
    native,
    programs,
    results,
    scale,
    size,
    startup,
    top,
)
from bench.table import Table
from lab.hosts.recipes import BENCHES

PARTS: Mapping[str, Callable[[], Iterable[Table]]] = {
    "startup": startup.tables,
    "loading": loading.tables,
    "size": size.tables,
    "machine": figures.tables,
    "programs": programs.tables,
    "maps": maps.tables,
    "native": native.tables,
    "counters": counters.tables,
    "exporter": exporter.tables,
    "top": top.tables,
    "scale": scale.tables,
}
"""What each part measures, one after the other."""

HOSTS: Mapping[str, Callable[[], Iterable[Table]]] = {
    recipe.name: partial(hosts.tables, recipe) for recipe in BENCHES
}
"""Emulated hosts, as many at once as there are CPUs: they count instructions, not time."""

ASIDE: Mapping[str, Callable[[], Iterable[Table]]] = {"fleet": fleet.tables}
"""Parts that are measured only if they are named."""

EVERY = {**PARTS, **HOSTS, **ASIDE}


def _measure(name: str) -> tuple[str, results.Part, bool]:
    """Measure and print a part; return its name, what it has, and whether its budgets hold."""
    begun = time.monotonic()
    tables = []
    for table in EVERY[name]():
        print(f"\n{table.text()}", flush=True)
        tables.append(table)
    part = results.part(tables, time.monotonic() - begun)
    return name, part, all(table.holds for table in tables)


def _all(names: Sequence[str]) -> Iterator[tuple[str, results.Part, bool]]:
    """Yield what the parts have measured."""
    yield from map(_measure, (name for name in names if name not in HOSTS))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        yield from workers.map(_measure, (name for name in names if name in HOSTS))


def _compare(name: str, measured: results.Part) -> None:
    recorded = results.read(results.RECORDED).get(name)
    if not recorded:
        print(f"{name}: not in the recorded run")
        return
    facts = ", ".join(recorded["machine"].values())
    changed = list(results.changes(recorded, measured))
    print(f"{name}: {len(changed)} changes since {facts}", *changed, sep="\n  ")


def main() -> int:
    """Measure, print, write, compare; return 1 if a budget is exceeded or a measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    words = {name: [name] for name in EVERY} | {"hosts": list(HOSTS)}
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(words))
    parser.add_argument(
        "--record",
        action="store_true",
        help="record the parts in which nothing failed and no budget is exceeded",
    )
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in words]:
        parser.error(f"no part {unknown[0]!r}, of {' '.join(words)}")
    names = [name for word in options.parts for name in words[word]] or [*PARTS, *HOSTS]
    print(*results.machine().values(), sep=", ", flush=True)
    begun = time.monotonic()
    measured: dict[str, results.Part] = {}
    broken = []
    for name, part, holds in _all(names):
        measured[name] = part
        results.add(results.LATEST, name, part)
        if not holds:
            broken.append(name)
    for name, found in measured.items():
        print()
        _compare(name, found)
        if options.record and name not in broken:
            results.add(results.RECORDED, name, found)
    minutes = (time.monotonic() - begun) / 60
    print(f"{minutes:.0f} minutes; written to {results.LATEST}")
    if broken:
        print(f"a budget is exceeded or a measurement failed: {' '.join(broken)}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
