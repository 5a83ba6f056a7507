"""Read histograms of ftrace's triggers: ``cat events/kvm/kvm_exit/hist``.

::

# trigger info: hist:keys=exit_reason,common_pid.execname:vals=hitcount:… [active]
{ exit_reason:         48, common_pid: CPU 0/KVM       [      1234] } hitcount:       1234
Totals:
    Hits: 1234
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kstats.importers.figures import Table, Who, count, split
from kstats.importers.lines import Line, Problems

_ROW = re.compile(r"\{ (?P<keys>[^{}]*) \}\s*hitcount:\s*(?P<count>\d{1,20})\b.*", re.ASCII)
_INFO = re.compile(r"#?\s*trigger info: hist:(?:name=\w+:)?keys=(?P<keys>[\w.,-]+)", re.ASCII)
_KEY = re.compile(r"\s*(?P<name>[a-z]\w{0,63}):\s*(?P<value>.*?)\s*", re.ASCII)
_COMM = re.compile(r"(?P<comm>.*?)\s*\[\s*(?P<tid>\d{1,10})\]", re.ASCII)
_DROPPED = re.compile(r"\s*Dropped:\s*(\d{1,18})\s*", re.ASCII)
_IGNORED = re.compile(r"\s*(?:$|#|Totals:|(?:Hits|Entries):\s*\d)", re.ASCII)
_REASONS = ("exit_reason", "exit_code", "reason", "esr_ec", "ret")
_FIELDS = {"exit_reason", "isa", "ret", "esr_ec", "info1"}
"""The fields of the event from which a code is made."""

_SYMBOL = re.compile(r"\[\s*([0-9a-f]{1,16})\].*")  # .sym
_RANGE = re.compile(r"~ ?(?:2\^|\d+-)\d+", re.ASCII)


def fits(text: str) -> bool:
    """Return whether this is a row of a histogram of exits."""
    match = _ROW.fullmatch(text.strip())
    return match is not None and any(f"{name}:" in match["keys"] for name in _REASONS)


def parse(lines: Iterable[Line], problems: Problems) -> Iterator[Table]:
    """Yield one table for each histogram; they grow, so the last of several counts."""
    table = Table("the histogram")
    hexadecimal: set[str] = set()
    for line in lines:
        text = line.text.strip()
        row = _ROW.fullmatch(text) if line.whole else None
        if info := _INFO.match(text):
            hexadecimal = {
                key.removesuffix(".hex") for key in info["keys"].split(",") if key.endswith(".hex")
            }
        if row:
            n = count(row["count"])
            parts, who = _read(row["keys"], hexadecimal, problems)
            if n is None or not parts or not table.add(line, n, parts, who):
                problems.add(line)
        elif dropped := _DROPPED.fullmatch(text):
            problems.lost += int(dropped[1])
        elif not _IGNORED.match(text):
            problems.add(line)
    yield table


def _read(text: str, hexadecimal: set[str], problems: Problems) -> tuple[tuple[str, ...], Who]:
    """Return the reason and the thread in the keys of a row; no parts without a reason."""
    keys = {
        match["name"]: match["value"]
        for part in re.split(r",\s(?=\s*[a-z]\w*:)", text)
        if (match := _KEY.fullmatch(part))
    }
    if any(_RANGE.fullmatch(keys.get(name, "")) for name in _REASONS):
        problems.remark(
            "ranges of codes do not identify exits: use the key without .log2, .buckets"
        )
        return (), Who()
    for name in hexadecimal & keys.keys():
        keys[name] = f"0x{keys[name]}"
    for name in _REASONS:
        if symbol := _SYMBOL.fullmatch(keys.get(name, "")):
            keys[name] = f"0x{symbol[1]}"
    values = [keys[name] for name in _REASONS if name in keys]
    fields = split(" ".join(f"{name}={value}" for name, value in keys.items() if name in _FIELDS))
    return (fields if values and len(_FIELDS & keys.keys()) > 1 else tuple(values[:1])), _who(keys)


def _who(values: dict[str, str]) -> Who:
    pid = values.get("common_pid", "")
    named = _COMM.fullmatch(pid)
    cpu = values.get("common_cpu") or values.get("cpu", "")
    vcpu = values.get("vcpu_id", "")
    return Who(
        tid=int(named["tid"] if named else pid) if named or _is_small(pid) else 0,
        comm=named["comm"] if named else "",
        vcpu=int(vcpu) if _is_small(vcpu) else None,
        cpu=int(cpu) if _is_small(cpu) else -1,
    )


def _is_small(text: str) -> bool:
    return re.fullmatch(r"\d{1,9}", text, re.ASCII) is not None
