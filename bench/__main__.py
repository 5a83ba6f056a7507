"""``make bench``: what kstats costs, as tables, and what has changed since the recorded run.

Without a PART, all but fleet, which measures others' programs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from bench import (
    exporter,
    figures,
    fleet,
    hosts,
    loading,
    maps,
    native,
    programs,
    results,
    size,
    startup,
    top,
)
from bench.table import Table

PARTS: Mapping[str, Callable[[], Iterable[Table]]] = {
    "startup": startup.tables,
    "loading": loading.tables,
    "size": size.tables,
    "machine": figures.tables,
    "programs": programs.tables,
    "maps": maps.tables,
    "native": native.tables,
    "exporter": exporter.tables,
    "top": top.tables,
    "hosts": hosts.tables,
}
"""What each part measures; it yields its tables as soon as it has them."""

ASIDE: Mapping[str, Callable[[], Iterable[Table]]] = {"fleet": fleet.tables}
"""Parts that are measured only if they are named."""

EVERY = {**PARTS, **ASIDE}


def _measure(name: str) -> tuple[results.Part, bool]:
    """Measure and print a part; return it, and whether its budgets hold."""
    begun = time.monotonic()
    tables = []
    for table in EVERY[name]():
        print("", table.text(), sep="\n", flush=True)
        tables.append(table)
    return results.part(tables, time.monotonic() - begun), all(table.holds for table in tables)


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
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(EVERY))
    parser.add_argument("--record", action="store_true", help=f"also write {results.RECORDED.name}")
    options = parser.parse_args()
    names = options.parts or list(PARTS)
    if unknown := [name for name in names if name not in EVERY]:
        parser.error(f"no part {unknown[0]!r}, of {' '.join(EVERY)}")
    print(*results.machine().values(), sep=", ", flush=True)
    measured: dict[str, results.Part] = {}
    broken = []
    for name in names:
        measured[name], holds = _measure(name)
        results.add(results.LATEST, name, measured[name])
        if not holds:
            broken.append(name)
    print()
    for name, found in measured.items():
        _compare(name, found)
        if options.record:
            results.add(results.RECORDED, name, found)
    total = sum(part["seconds"] for part in measured.values())
    print(f"{total / 60:.0f} minutes; written to {results.LATEST}")
    if broken:
        print(f"a budget is exceeded or a measurement failed: {' '.join(broken)}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
