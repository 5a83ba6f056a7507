"""The file of a run: by part the machine, the date and the tables; and what differs between two.

:data:`RECORDED` is part of the repository. The README's figures are generated from it, and each
run is compared with it.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.table import Cell, Table
from kstats.host import Host

RECORDED = Path(__file__).with_name("recorded.json")
LATEST = Path(__file__).parent.parent / ".cache" / "bench" / "bench.json"

Part = Mapping[str, Any]
"""``machine``, ``seconds`` and ``tables``, as JSON has them."""

Key = tuple[str, str, str]
"""The title of a table, the words of a row, and the heading of a column."""

_QUANTITY = re.compile(r"[-+]?\d[\d,]*(\.\d+)?(?=\s|$)")

_ROW = re.compile(r"\[\n\s*([^][{}]*?)\n\s*\]")
_INDENT = re.compile(r"\n\s*")


def machine() -> dict[str, str]:
    """Return the facts about this machine. Figures of emulated hosts do not depend on it."""
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


def part(tables: Iterable[Table], seconds: float) -> Part:
    """Return what a part has measured in so many seconds, as the file has it."""
    return {
        "machine": machine(),
        "seconds": round(seconds),
        "tables": [table.as_object() for table in tables],
    }


def read(path: Path) -> dict[str, Part]:
    """Return the parts in a file; none if there is no file."""
    if not path.exists():
        return {}
    found: dict[str, Part] = json.loads(path.read_text(encoding="utf-8"))
    return found


def add(path: Path, name: str, measured: Part) -> None:
    """Write a part to a file, which keeps the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {**read(path), name: measured}
    text = json.dumps(parts, indent=1, ensure_ascii=False)
    path.write_text(f"{_ROW.sub(_on_one_line, text)}\n", encoding="utf-8")


def _on_one_line(row: re.Match[str]) -> str:
    return f"[{_INDENT.sub(' ', row[1])}]"


def figures(measured: Part) -> dict[Key, float]:
    """Return the figures of a part."""
    return {key: figure for table in measured["tables"] for key, figure in _figures(table)}


def _figures(table: Mapping[str, Any]) -> Iterator[tuple[Key, float]]:
    for row in table["rows"]:
        quantities = [None, *map(_quantity, row[1:])]
        words = [
            cell
            for cell, figure in zip(row, quantities, strict=True)
            if figure is None and isinstance(cell, str)
        ]
        for heading, figure in zip(table["headings"], quantities, strict=True):
            if figure is not None:
                yield (table["title"], ", ".join(words), heading), figure


def _quantity(cell: Cell) -> float | None:
    if not isinstance(cell, str):
        return cell
    found = _QUANTITY.match(cell)
    return float(found[0].replace(",", "")) if found else None


def changes(old: Part, new: Part) -> Iterator[str]:
    """Yield a line for each figure that differs by more than usual, or that only one has."""
    tables = {table["title"]: table for table in new["tables"]}
    before, now = figures(old), figures(new)
    for key in {**before, **now}:
        title, words, heading = key
        was, found = before.get(key), now.get(key)
        where = f"{title}: {words}, {heading}"
        if was is None or found is None:
            yield f"{where}: {'new' if was is None else 'gone'}"
        elif abs(found - was) > max(tables[title]["spread"] * abs(was), tables[title]["noise"]):
            change = f" ({found / was - 1:+.0%})" if was else ""
            yield f"{where}: {was:g} → {found:g}{change}"
