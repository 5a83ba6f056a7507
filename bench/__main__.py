"""``make bench``: what kstats costs, in one table, as text and JSON.

python -m bench [PART…], of: startup loading size machine programs maps native exporter top
hosts fleet.
Without a PART, all but fleet, which measures others' programs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from bench import exporter, figures, fleet, hosts, loading, maps, native, size, startup, top
from bench.hosts import Budget
from bench.table import Table
from kstats.host import Host
from tests.collector.sizes import programs, sizes

RESULTS = Path(__file__).parent.parent / ".cache" / "bench"

Measured = tuple[Table, list[Budget]]


def _machine() -> Iterator[Measured]:
    yield figures.table(), []


def _programs() -> Iterator[Measured]:
    rows = [attrs.astuple(size) for size in sizes(programs(), "prebuilt")]
    headings = ("view", "isa", "probe", "function", "instructions", "bytes")
    title = "programs: BPF instructions, bytes of machine code"
    yield Table(title, headings, rows), []


def _maps() -> Iterator[Measured]:
    yield maps.table(), []


def _native() -> Iterator[Measured]:
    yield native.table(), []


def _startup() -> Iterator[Measured]:
    yield startup.measured()


def _loading() -> Iterator[Measured]:
    yield loading.measured()


def _size() -> Iterator[Measured]:
    yield size.measured()


def _exporter() -> Iterator[Measured]:
    yield exporter.measured()


def _fleet() -> Iterator[Measured]:
    for table in fleet.tables():
        yield table, []


def _top() -> Iterator[Measured]:
    yield top.measured()


PARTS: Mapping[str, Callable[[], Iterator[Measured]]] = {
    "startup": _startup,
    "loading": _loading,
    "size": _size,
    "machine": _machine,
    "programs": _programs,
    "maps": _maps,
    "native": _native,
    "exporter": _exporter,
    "top": _top,
    "hosts": hosts.tables,
}
ASIDE: Mapping[str, Callable[[], Iterator[Measured]]] = {"fleet": _fleet}
"""Parts that are measured only if they are named."""


def description() -> dict[str, str]:
    """The machine that all this was measured on; emulated hosts do not depend on it."""
    host = Host()
    lines = (host.read("proc/cpuinfo") or "").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "kernel": f"Linux {platform.release()}",
        "machine": platform.machine(),
        "cpu": models[0] if models else "?",
        "cpus": str(len(host.online_cpus())),
        "python": platform.python_version(),
    }


def main() -> int:
    """Measures, prints, writes; 1 if a budget is broken or something could not be measured."""
    every = {**PARTS, **ASIDE}
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(every))
    names = parser.parse_args().parts or list(PARTS)
    if unknown := [name for name in names if name not in every]:
        parser.error(f"no part {unknown[0]!r}, of {' '.join(every)}")
    machine = description()
    texts, tables, budgets = [", ".join(machine.values())], list[Table](), list[Budget]()
    print(texts[0], flush=True)
    for name in names:
        for table, held in every[name]():
            said = "\n".join(["", table.text(), *map(str, held)])
            print(said, flush=True)
            texts.append(said)
            tables.append(table)
            budgets += held
    objects = [table.as_object() for table in tables]
    _write(names, "\n".join(texts), {"machine": machine, "tables": objects}, budgets)
    return int(any(table.failures for table in tables) or not all(b.holds for b in budgets))


def _write(names: list[str], text: str, report: dict[str, object], budgets: list[Budget]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = "bench" if names == list(PARTS) else "-".join(names)
    report["budgets"] = [
        {"host": b.host, "what": b.what, "most": b.most, "found": b.found, "holds": b.holds}
        for b in budgets
    ]
    (RESULTS / f"{stem}.txt").write_text(f"{text}\n", encoding="utf-8")
    (RESULTS / f"{stem}.json").write_text(f"{json.dumps(report, indent=1)}\n", encoding="utf-8")
    print(f"written to {RESULTS}/{stem}.txt and .json", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
