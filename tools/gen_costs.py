"""Write what kstats costs from the recorded run of the benchmark, bench/recorded.json.

Writes the tables in README.md and docs/costs.md and the figures in kstats/costs.py, each between
lines that name this file.

With ``--check`` write nothing and exit with status 1 if a file is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from bench import results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
NOTHING, EXITS, LATENCY = "nothing", "kstats exits", "kstats exits --latency"
THROUGH_BCC = "--loader bcc"
ONE = "one vCPU"
TURNS = (1, 4, 16)

HOSTS = ("bench-svm", "bench-svm-6.12", "bench-arm64")
"""The hosts in kstats/costs.py, in the README with others."""

MITIGATED, WITHOUT_ERMS = "bench-svm-mitigated", "bench-svm-no-erms"

STARTS = (
    *("kstats -v 0.01 1", "kstats exits 0.01", "kvmexit 1", "kvm_stat -d -1"),
    *("perf stat -a -e kvm:kvm_exit sleep 0.01", "bpftrace, exits by reason"),
)
"""The commands that the README compares."""

TITLES = {
    "bench-svm": "AMD, Linux 6.1",
    "bench-svm-6.12": "AMD, Linux 6.12",
    "bench-arm64": "ARM64, Linux 6.1",
    WITHOUT_ERMS: "AMD, Linux 6.1, a CPU without ERMS and FSRM",
    MITIGATED: "AMD, Linux 6.1, mitigations on",
}


@attrs.frozen
class Run:
    """The tables of a run, by their titles, and the machine of its part ``native``."""

    tables: Mapping[str, Mapping[str, Any]]
    hardware: Mapping[str, str]

    @classmethod
    def of(cls, parts: Mapping[str, results.Part]) -> Run:
        """Return the tables of all parts."""
        tables = {table["title"]: table for part in parts.values() for table in part["tables"]}
        return cls(tables, parts["native"]["machine"])

    def named(self, beginning: str) -> Mapping[str, Any]:
        """Return the table with a title that begins so."""
        (found,) = (table for title, table in self.tables.items() if title.startswith(beginning))
        return found

    def exits(self, host: str) -> Mapping[str, Any]:
        """Return the table of what tools add to an exit in a host."""
        return self.named(f"{host}: instructions of an exit")

    def added(self, host: str, tool: str, way: str = ONE) -> float | None:
        """Return what a tool adds there; for no tool, what an exit takes."""
        table = self.exits(host)
        column = table["headings"].index(way)
        found: list[float | None] = [row[column] for row in table["rows"] if row[0] == tool]
        return found[0] if found else None

    def tools(self) -> list[str]:
        """Return the tools, kstats' commands first."""
        names = dict.fromkeys(row[0] for host in HOSTS for row in self.exits(host)["rows"])
        return [name for name in names if name != NOTHING and THROUGH_BCC not in name]


def _signed(figure: float | None) -> str:
    return "" if figure is None else f"{round(figure):+,}"


def _code(tool: str) -> str:
    """Return a tool's name with its command as code."""
    command, comma, rest = tool.partition(",")
    named = command.startswith(("kstats", "kvm_stat", "perf"))
    return f"`{command}`{comma}{rest}" if named else tool


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (headings, ["---"] * len(headings), *rows):
        yield "|".join(["", *(f" {cell} " if cell else " " for cell in cells), ""])


def _turns(run: Run, tool: str) -> str:
    figures = [_way(run, tool, turn) for turn in TURNS]
    return "" if None in figures else " / ".join(map(_signed, figures))


def _way(run: Run, tool: str, turn: int) -> float | None:
    """Return what a tool adds where memory is copied by words, to vCPUs that share a CPU."""
    return run.added(WITHOUT_ERMS, tool, f"4 vCPUs, turn {turn}")


def readme(run: Run) -> Iterator[str]:
    """Yield the lines of the README."""
    hosts = [*HOSTS, MITIGATED]
    headings = ["", *(TITLES[host] for host in hosts)]
    headings.append("AMD, Linux 6.1, four vCPUs on one CPU in turns of 1 / 4 / 16 exits")
    rows = [
        [_code(tool), *(_signed(run.added(host, tool)) for host in hosts), _turns(run, tool)]
        for tool in run.tools()
    ]
    yield from _table(headings, rows)
    for view in (EXITS, LATENCY):
        others = [tool for tool in run.tools() if not tool.startswith("kstats")]
        less = {tool: _cheaper(run, tool, view) for tool in others}
        named = [f"{_code(tool)} ({where})" for tool, where in less.items() if where]
        text = f"Cheaper than `{view}`: {'; '.join(named) or 'none of these tools'}."
        yield from _paragraph(text)
    commands = [
        f"`{name}` {used:,.0f} million instructions and {mib:.0f} MiB"
        for name, used, mib in run.named("bench-svm: commands")["rows"]
        if name in STARTS
    ]
    yield from _paragraph(f"From start to end, whole commands take: {', '.join(commands)}.")


def _paragraph(text: str) -> Iterator[str]:
    yield from ("", *textwrap.wrap(text, 100, break_on_hyphens=False))


def _cheaper(run: Run, tool: str, view: str) -> str:
    """Return where a tool adds less than a view of kstats."""
    where = [
        TITLES[host]
        for host in (*HOSTS, MITIGATED)
        if _less(run.added(host, tool), run.added(host, view))
    ]
    turns = [f"{turn}" for turn in TURNS if _less(_way(run, tool, turn), _way(run, view, turn))]
    if len(where) > len(HOSTS):
        where = ["all hosts"]
    return ", ".join([*where, *([f"in turns of {', '.join(turns)}"] if turns else [])])


def _less(figure: float | None, other: float | None) -> bool:
    return figure is not None and other is not None and figure < other


def costs(run: Run) -> Iterator[str]:
    """Yield the figures of kstats/costs.py."""
    names = [f'"{TITLES[host]}"' for host in HOSTS]
    yield f"HOSTS = ({', '.join(names)})"
    yield ""
    yield "ADDED: Mapping[str, tuple[int, int, int]] = {"
    for tool in run.tools():
        if tool.startswith("kstats") and "kernel" not in tool:
            figures = [round(run.added(host, tool) or 0) for host in HOSTS]
            yield f'    "{tool}": ({", ".join(map(str, figures))}),'
    yield "}"


def details(run: Run) -> Iterator[str]:
    """Yield the tables of docs/costs.md."""
    for host, title in TITLES.items():
        table = run.exits(host)
        yield from ("", f"### {title}", "")
        rows = table["rows"]
        cells = [_cells(row, signed=row[0] != NOTHING) for row in rows]
        yield from _table(table["headings"], cells)
    yield from ("", "### Whole commands", "")
    starts = run.named("bench-svm: commands")
    rows = [[f"`{name}`", *(f"{cell:,.0f}" for cell in row)] for name, *row in starts["rows"]]
    yield from _table(starts["headings"], rows)
    hardware = [f"{what} {fact}" for what, fact in run.hardware.items()]
    yield from ("", "### On hardware", *_paragraph(f"Measured with: {', '.join(hardware)}."), "")
    native = run.named("ns that programs at raw")
    yield from _table(native["headings"], [_cells(row, signed=False) for row in native["rows"]])
    yield from ("", "### The hosts", "")
    facts = {host: dict(run.named(f"{host}: the host")["rows"]) for host in TITLES}
    yield from _table(["", *TITLES.values()], _by_fact(facts))


def _by_fact(facts: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    for what in dict.fromkeys(what for found in facts.values() for what in found):
        yield [what, *(found.get(what, "") for found in facts.values())]


def _cells(row: Sequence[Any], *, signed: bool) -> list[str]:
    name, *cells = row
    shown = [
        cell if isinstance(cell, str) else _signed(cell) if signed else f"{cell:,.0f}"
        for cell in cells
    ]
    return [_code(name), *shown]


FILES: Mapping[str, Callable[[Run], Iterator[str]]] = {
    "README.md": readme,
    "docs/costs.md": details,
    "kstats/costs.py": costs,
}
_BLOCK = re.compile(
    r"(?P<begin>^\S+ Written by tools/gen_costs\.py.*?\n).*?(?P<end>^\S+ End of what .*?$)",
    re.MULTILINE | re.DOTALL,
)


def written(text: str, lines: Iterable[str]) -> str:
    """Return a file's text with its generated lines replaced."""
    block = "\n".join(lines)
    return _BLOCK.sub(lambda found: f"{found['begin']}\n{block}\n\n{found['end']}", text)


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    parts = results.read(results.RECORDED)
    if not parts:
        print("bench/recorded.json does not exist; make bench-record writes it", file=sys.stderr)
        return 0
    run = Run.of(parts)
    outdated = []
    for name, lines in FILES.items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        new = written(old, lines(run))
        if new != old:
            outdated.append(name)
            if not check:
                path.write_text(new, encoding="utf-8")
    if check and outdated:
        print(f"out of date: {', '.join(outdated)}; run tools/gen_costs.py", file=sys.stderr)
    return int(check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
