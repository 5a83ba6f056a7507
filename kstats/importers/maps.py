"""Read the maps of bpftrace and the histograms of ftrace: counts under keys.

::

@exits[CPU 0/KVM, EPT_VIOLATION]: 1234                  bpftrace: count(), sum() of an integer
@exit_ns[30, IO_INSTRUCTION]:                           … hist(), lhist()
[2K, 4K)                12 |@@@                  |
@[48]: count 12, average 3100, total 37200              … stats()

{ exit_reason:         48 } hitcount:       1234        ftrace: cat events/kvm/kvm_exit/hist
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import attrs

from kstats.arch import lookup
from kstats.arch.base import NUMBER_MASK
from kstats.arch.spelling import code_of
from kstats.importers.figures import NOBODY, Key, Row, Table, Who, count
from kstats.importers.lines import Line, Problems
from kstats.vms.naming import vcpu_number

_MAP = re.compile(
    r"@(?P<name>\w{0,64})(?:\[(?P<key>[^\n]*)\])?:(?: (?P<value>\S.*?))?\s*", re.ASCII
)
_JSON = ('{"type": "map"', '{"type": "hist"', '{"type": "lhist"', '{"type": "stats"')
_STATS = re.compile(r"count (?P<count>\d{1,20}), average -?\d+, total -?\d+", re.ASCII)
_BUCKET = re.compile(
    r"\s*[\[(](?:\.\.\.|-?\d+[KMGTP]?)(?:, ?(?:\.\.\.|-?\d+[KMGTP]?))?[\])]\s+(?P<count>\d{1,20})"
    r"\s+\|[@ ]*\|\s*",
    re.ASCII,
)
_IGNORED = re.compile(r"\s*(?:$|Attach|Tracing |\^C|Hit Ctrl|//|`|[#$] )")
# The name of a map that has times, or what a thread did last, and no counts.
_NO_COUNTS = re.compile(
    r"(?:^|_)(?:start|begin|begun|ts|last|prev|time|times|t0|ns|us|ms|nsecs|lat|latency|avg|min|max"
    r"|sum|dur|duration)(?:_|$)"
)


def fits_bpftrace(text: str) -> bool:
    """Return whether this is a line of a map with a key."""
    match = _MAP.fullmatch(text)
    return (match is not None and match["key"] is not None) or text.startswith(_JSON)


def parse_bpftrace(lines: Iterable[Line], problems: Problems) -> Iterator[Table]:
    """Yield one table: the map that counts exits; the others are named in the notes."""
    maps: dict[str, Table] = {}
    histograms: set[str] = set()
    open_key: tuple[str, tuple[str, ...], Line] | None = None
    for line in _expanded(lines):
        match = _MAP.fullmatch(line.text) if line.whole else None
        bucket = _BUCKET.fullmatch(line.text) if line.whole and not match else None
        if match and match["key"] is not None:
            parts = tuple(part.strip() for part in match["key"].strip("()").split(","))
            table = maps.setdefault(match["name"], Table("@" + match["name"]))
            n = _value(match["value"] or "", problems)
            open_key = None if match["value"] else (match["name"], parts, line)
            if n is not None and not table.add(line, n, parts):
                problems.add(line)
        elif bucket and open_key:
            name, parts, first = open_key
            histograms.add(name)
            if not maps[name].add(first, int(bucket["count"]), parts):
                problems.add(line)
        elif not match and not _IGNORED.match(line.text):
            problems.add(line)
    yield from _one_of(maps, histograms, problems)


def _expanded(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines of bpftrace, also for those of ``bpftrace -f json``."""
    for line in lines:
        if not line.text.startswith('{"type": "'):
            yield line
        elif line.text.startswith(_JSON):
            yield from (attrs.evolve(line, text=text) for text in _of_json(line.text))


def _of_json(text: str) -> Iterator[str]:
    """Yield the lines that bpftrace prints as text for the maps in a line of JSON."""
    try:
        data = json.loads(text).get("data")
    except (ValueError, RecursionError):
        yield text  # damaged, and reported as such
        return
    maps = data.items() if isinstance(data, dict) else ()
    for name, keys in maps:
        for key, value in keys.items() if isinstance(keys, dict) else ():
            buckets = value if isinstance(value, list) else ()
            n = value.get("count") if isinstance(value, dict) else value
            yield f"{name}[{key}]: {n}" if isinstance(n, int) else f"{name}[{key}]:"
            for bucket in buckets:
                n = bucket.get("count") if isinstance(bucket, dict) else None
                yield f"[0, 1) {n} |@|" if isinstance(n, int) else str(bucket)


def _value(text: str, problems: Problems) -> int | None:
    stats = _STATS.fullmatch(text)
    if stats:
        problems.remark("the times in stats() are not used: they have no extremes")
    return count(stats["count"] if stats else text)


def _one_of(maps: dict[str, Table], histograms: set[str], problems: Problems) -> Iterator[Table]:
    """Yield the map that counts exits; several would count the same exits again."""
    able = [
        (_known(table), bool(_threads(table)), table)
        for name, table in maps.items()
        if table.rows and (name in histograms or not _NO_COUNTS.search(name)) and _known(table)
    ]
    best = max(able, key=lambda ranked: ranked[:2], default=None)
    for table in maps.values():
        if best is None or table is not best[2]:
            problems.remark(f"{table.name} is not counted: it has no exits, or those counted here")
    if best:
        if best[2].name.removeprefix("@") in histograms:
            problems.remark("the times in histograms are not used: their buckets have no sum")
        yield _arranged(best[2])


def _known(table: Table) -> float:
    """Return the share of rows with a reason that some ISA has."""
    known = sum(any(map(_is_reason, key.parts)) for key in table.rows)
    return known / len(table.rows)


def _columns(table: Table) -> list[list[str]]:
    arity = min(len(key.parts) for key in table.rows)
    return [[key.parts[at] for key in table.rows] for at in range(arity)]


def _threads(table: Table) -> list[int]:
    """Return the columns with names of vCPU threads."""
    columns = enumerate(_columns(table))
    return [at for at, texts in columns if all(vcpu_number(t) is not None for t in texts)]


def _reasons(table: Table) -> list[int]:
    """Return the columns with the reason: its name and its number, or one of them."""
    columns = list(enumerate(_columns(table)))
    names = [at for at, texts in columns if any(map(_is_name, texts))]
    codes = [at for at, texts in columns if all(lookup.number(t) is not None for t in texts)]
    if names:
        pairs = [(at, zip(texts, columns[names[0]][1], strict=True)) for at, texts in columns]
        same = [at for at, both in pairs if at in codes and all(_agree(*one) for one in both)]
        return [*names[:1], *same[:1]]
    known = [at for at in codes if all(map(_is_reason, columns[at][1]))]
    return known if len(codes) > 1 else codes


def _agree(number: str, name: str) -> bool:
    """Return whether some ISA has this number under this name; a number may have no name."""
    found = lookup.number(number)
    codes = {code_of(isa, name) for isa in lookup.isas()} - {None}
    return not codes or any(
        found is not None and found & NUMBER_MASK == c & NUMBER_MASK for c in codes if c is not None
    )


def _is_reason(text: str) -> bool:
    number = lookup.number(text)
    if number is not None:
        return any(number in isa.reasons for isa in lookup.isas())
    return _is_name(text)


def _is_name(text: str) -> bool:
    return any(code_of(isa, text) is not None for isa in lookup.isas())


def _arranged(table: Table) -> Table:
    """Return the table with the reason and the thread of each row in their fields."""
    reasons, threads = _reasons(table), _threads(table)
    found = Table(table.name)
    for key, row in table.rows.items():
        parts = tuple(key.parts[at] for at in reasons if key.parts[at])
        who = Who(comm=key.parts[threads[0]]) if threads else NOBODY
        merged = found.rows.setdefault(Key(parts or key.parts, who), Row(row.line, lines=0))
        merged.count += row.count
        merged.lines += row.lines
    return found
