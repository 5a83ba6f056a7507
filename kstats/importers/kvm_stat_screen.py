"""Read the screen of kvm_stat, and what kvm_stat -1 prints: an event per line, its sum, its rate.

::

 Event                                         Total %Total CurAvg/s
 kvm_exit                                     238130    8.3     4419
   kvm_exit(WFx)                              112549   47.3     2028
 kvm_entry                                    238130    8.3     4419
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kstats.importers.figures import Table, count
from kstats.importers.lines import Line, Problems

_ROW = re.compile(
    r"\s*(?P<event>[A-Za-z][\w/-]{0,63})(?:\((?P<name>[^()\s]{1,64})\))?"
    r"\s+(?P<total>\d[\d,]{0,26})(?:\s+-?[\d.,]+%?){0,4}\s*",
    re.ASCII,
)
_TITLE = re.compile(r"\s*(?:kvm statistics|Event\s+Total\b)")
_EXIT, _ENTRY = "kvm_exit", "kvm_entry"


def fits(text: str) -> bool:
    """Return whether this is the title, or a row of exits."""
    row = _ROW.fullmatch(text)
    return _TITLE.match(text) is not None or (row is not None and row["event"] == _EXIT)


def parse(lines: Iterable[Line], problems: Problems) -> Iterator[Table]:
    """Yield a table for each run; of a screen that was copied several times, the last one."""
    table = Table()
    for line in lines:
        row = _ROW.fullmatch(line.text) if line.whole else None
        n = count(row["total"]) if row else None
        if row is None or n is None:
            if _TITLE.match(line.text):
                table = _next_screen(table, problems)
            elif line.text.strip():
                problems.add(line)
        elif row["event"] == _EXIT:
            if row["name"] is None and table.whole is not None:  # kvm_stat -1, again
                yield table
                table = Table()
            if row["name"] is None:
                table.whole = n
            elif not table.add(line, n, (row["name"],)):
                problems.add(line)
        elif row["event"] == _ENTRY and row["name"] is None:
            table.entries = n
    yield table


def _next_screen(table: Table, problems: Problems) -> Table:
    if not table.is_empty:
        problems.remark("only the last screen is counted: its totals contain those of the others")
    return Table()
