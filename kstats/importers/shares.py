"""Read what perf report and perf top show of kvm:kvm_exit: the share of each text of the event.

::

# Samples: 3K of event 'kvm:kvm_exit'
# Event count (approx.): 3452
  78.98%  vcpu 0 reason EXTERNAL_INTERRUPT rip 0x9c40d4 info1 0x0 …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kstats.importers.figures import Table
from kstats.importers.lines import Line, Problems

_ROW = re.compile(
    r"\s*(?P<share>\d{1,3}\.\d{1,2})%\s+(?:(?P<samples>\d{1,18})\s+)?(?P<rest>\S.*)", re.ASCII
)
_TEXT = re.compile(r"(?:vcpu \d{1,10} )?reason \S|\w{1,20}: HSR_EC", re.ASCII)
_TOTAL = re.compile(r"#?.*\bEvent count \(approx\.\): (?P<total>\d{1,18})\b", re.ASCII)
_IGNORED = re.compile(r"\s*(?:$|#|Samples: |Overhead\b|\d{1,3}\.\d{1,2}%\s)", re.ASCII)
_WHOLE = 10_000


def fits(text: str) -> bool:
    """Return whether this is the share of an event with a reason."""
    row = _ROW.fullmatch(text)
    return row is not None and _TEXT.search(row["rest"]) is not None


def parse(lines: Iterable[Line], problems: Problems) -> Iterator[Table]:
    """Yield one table; without a number of events, its counts are of 10,000."""
    table = Table()
    total: int | None = None
    shares = False
    for line in lines:
        row = _ROW.fullmatch(line.text) if line.whole else None
        text = _TEXT.search(row["rest"]) if row else None
        if row and text:
            shares = shares or row["samples"] is None
            computed = float(row["share"]) / 100 * (total or _WHOLE)
            n = round(computed) if row["samples"] is None else int(row["samples"])
            if not table.add(line, n, (row["rest"][text.start() :],)):
                problems.add(line)
        elif found := _TOTAL.match(line.text):
            total = int(found["total"])
        elif not _IGNORED.match(line.text):
            problems.add(line)
    if shares:
        of = f"{total} events" if total else "10,000 exits, because the number is not in the file"
        problems.remark(f"perf prints percentages: the counts are computed from them, of {of}")
    yield table
