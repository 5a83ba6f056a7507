"""Read the tables that :mod:`kstats.importers.columns` recognizes by their headings."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

import attrs

from kstats.importers.columns import Cells, Heading, are_numbers, is_other_heading
from kstats.importers.evidence import NAMELESS
from kstats.importers.figures import Table, Who, count, is_sum, rounded, split
from kstats.importers.lines import Line, Problems

_PERF = re.compile(
    r"\s*Analyze events for (?:all VMs, |pid\(s\) (?P<pids>[\d,]+), )?"
    r"(?:all VCPUs|VCPU (?P<vcpu>\d{1,9})):?\s*",
    re.ASCII,
)
_PERF_CODE = re.compile(
    r"\s*unknown kvm exit code:\s?(?P<code>\d{1,20}) on (?P<isa>\w{1,16})\s*", re.ASCII
)
_PERF_SUM = re.compile(r"\s*Total Samples:\s?(?P<count>\d{1,20}),.*", re.ASCII)
_LOST = re.compile(r"\s*Lost events: (\d{1,18})\s*", re.ASCII)
_SLEPT = re.compile(r"Display kvm exit .* after sleeping (\d{1,9}(?:\.\d{1,9})?) secs\.", re.ASCII)
# Titles, rulers, clocks, and what a terminal shows around a table.
_IGNORED = re.compile(
    r"(?:$|[#$`]|(?i:total|sum)\b|[-=+|:\u2500-\u257f\s]+$|\[?\d\d:\d\d:\d\d(?:\.\d+)?\]?$"
    r"|Display kvm exit|Tracing |Hit Ctrl|\w:\S|\[ perf |\d+ (?:rows|entries)\b"
    r"|Processed \d+ events|\^C$)",
    re.ASCII,
)
_TIMES = "columns with times are not used: not all of minimum, maximum and mean, with a unit"
_QUOTED_BYTES = re.compile(r"b'([^']*)'|b\"([^\"]*)\"|'([^']*)'|\"([^\"]*)\"")


def fits(text: str) -> bool:
    """Return whether this is a heading."""
    return Heading.of(text) is not None


def fits_perf(text: str) -> bool:
    """Return whether only perf kvm stat writes this line."""
    heading = Heading.of(text)
    named = heading and "Samples" in heading.words and {"VM-EXIT", "Event name"} & {*heading.words}
    return bool(named or _PERF.fullmatch(text) or _PERF_CODE.fullmatch(text))


def fits_kvmexit(text: str) -> bool:
    """Return whether only kvmexit writes this line."""
    heading = Heading.of(text)
    named = heading is not None and "KVM_EXIT_REASON" in heading.words
    return named or text.startswith("Display kvm exit reasons and statistics for ")


def parse(lines: Iterable[Line], problems: Problems) -> Iterator[Table]:
    """Yield each table of a file; none contains the exits of another."""
    reader = _Reader(problems)
    for line in lines:
        yield from reader.read(line)
    yield reader.table


class _Reader:
    def __init__(self, problems: Problems) -> None:
        self.table = Table()
        self._problems = problems
        self._heading: Heading | None = None
        self._subject = Who()
        self._codes: deque[str] = deque()
        self._before = ""

    def read(self, line: Line) -> Iterator[Table]:
        """Read a line; yield the table that it ends."""
        text = line.text.removeprefix("^C")  # the terminal's, in front of the first line
        heading = self._new_heading(text) if line.whole else None
        cells = self._heading.row(text) if self._heading and line.whole else None
        if heading:
            if not self.table.is_empty:
                yield self.table
                self.table = Table(elapsed=0.0)
            self._heading = heading
            self.table.isa = self.table.isa or heading.isa
        elif cells:
            self._add(line, cells)
        elif not (self._title(text) or _IGNORED.match(text.strip()) or are_numbers(text)):
            if is_other_heading(text):
                self._heading = None
            self._problems.add(line, rounded(text) if self._heading and line.whole else 0)

    def _new_heading(self, text: str) -> Heading | None:
        """Return the heading in a line, or in this line and the one before."""
        before, self._before = self._before, ""
        heading = Heading.of(text)
        if heading:
            self._before = text
        elif before and text.strip()[:1].isalpha():
            heading = Heading.of(f"{before} {text}")
        return heading

    def _add(self, line: Line, cells: Cells) -> None:
        parts = split(cells.reason.strip(" :"))
        if is_sum(parts):
            return
        if self._heading and self._heading.has_times and cells.times is None:
            self._problems.remark(_TIMES)
        if self._codes and NAMELESS & {part.upper() for part in parts}:
            parts = (self._codes.popleft(),)
        who = self._who(cells.who)
        if not parts or not self.table.add(line, cells.count, parts, who, cells.times):
            self._problems.add(line, cells.count)

    def _who(self, who: Who) -> Who:
        quoted = _QUOTED_BYTES.fullmatch(who.comm)
        comm = (
            next((text for text in quoted.groups() if text is not None), "") if quoted else who.comm
        )
        if comm == who.comm and self._subject == Who():
            return who
        return attrs.evolve(
            who,
            comm=comm,
            pid=who.pid or self._subject.pid,
            vcpu=self._subject.vcpu if who.vcpu is None else who.vcpu,
        )

    def _title(self, text: str) -> bool:
        """Read a line around a table; return False if it is not one."""
        if perf := _PERF.fullmatch(text):
            pids = perf["pids"] or ""
            vcpu = perf["vcpu"]
            self._subject = Who(
                pid=int(pids) if pids.isdigit() and len(pids) < 10 else 0,
                vcpu=None if vcpu is None else int(vcpu),
            )
        elif unknown := _PERF_CODE.fullmatch(text):
            self._codes.append(unknown["code"])
            self.table.isa = unknown["isa"].lower()
        elif total := _PERF_SUM.fullmatch(text):
            self.table.whole = count(total["count"])
        elif lost := _LOST.fullmatch(text):
            self._problems.lost += int(lost[1])
        elif slept := _SLEPT.match(text):
            self.table.elapsed = float(slept[1])
        else:
            return False
        return True
