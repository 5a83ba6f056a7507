"""Reports of findings for people, as JSON and as Markdown."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from kstats import arch as arches
from kstats.arch.base import NUMBER_BITS, NUMBER_MASK
from kstats.durations import duration
from kstats.escape import json_line, printable, printable_note
from kstats.why.engine import Finding, Report, Unchecked
from kstats.why.evidence import SHORTEST
from kstats.why.rule import Rule
from kstats.why.signals import TIME, share_text

HOST = "host"

RECORDED: Mapping[str, str] = {
    "latencies": "kstats record --latency",
    "vCPU times": "kstats record --time",
    "KVM's events": "kstats record",
    "KVM's counters": "kstats record",
    "facts about host and VM": "kstats record",
    "rates": "a trace of 0.1 s or more; for counts without times: kstats why --input FILE SECONDS",
}
"""What provides a missing part of the evidence; details have a command of their own."""

_WIDTH = 96
_LABEL = 10
_LONGEST = 400
_MARKUP = re.compile(r"([][\\`*_{}()<>#+!|@~&:.-])")


def command(finding: Finding) -> str:
    """Return the command that shows more about a finding."""
    vm = f"--vm {shlex.quote(printable(finding.subject))}" if finding.vm else ""
    return " ".join(finding.rule.command.format(vm=vm).split())


def who(finding: Finding) -> str:
    """Return the name of the VM that a finding is about; ``host`` for the host."""
    return printable(finding.subject) if finding.vm else finding.subject or HOST


def how_to_measure(unchecked: Unchecked) -> str:
    """Return what measures the missing part of the evidence."""
    kind, _, details = unchecked.part.partition(" ")
    if details == "details":
        return f"kstats exits --detail {kind} --record FILE"
    return RECORDED.get(unchecked.part, "kstats why, live")


def level_text(rule: Rule, level: float) -> str:
    """Return a threshold of a rule in its unit: ``2,500``, ``5 %``, ``1.00ms``."""
    unit = rule.signal.unit
    if unit == TIME:
        return duration(level)
    return share_text(level) if unit.startswith("share") else f"{level:,g}"


def text(
    report: Report, width: int = _WIDTH, how: Callable[[Unchecked], str] = how_to_measure
) -> str:
    """Return a report for people; ``how`` says what measures a missing part of the evidence."""
    blocks = [summary(report)]
    blocks += [
        "\n".join(_finding(number, finding, report, width))
        for number, finding in enumerate(report.findings, 1)
    ]
    rest = [*_unchecked(report, how), *map(printable_note, report.notes)]
    if rest:
        blocks.append("\n".join(_wrapped(line, width) for line in rest))
    return "\n\n".join(blocks) + "\n"


def _wrapped(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False)


def summary(report: Report) -> str:
    """Return how much was looked at, and how much was found, in a line."""
    if not report.exits and not report.vms and not report.findings:
        return "nothing to judge: no VM ran, or none that was selected"
    found = _number(len(report.findings), "finding") if report.findings else "nothing unusual"
    unchecked = sum(len(one.rules) for one in report.unchecked)
    if unchecked:
        found += f", {_number(unchecked, 'rule')} not checked"
    vms = (_number(len(report.vms), "VM"),) if report.vms else ()
    seconds = (f"{report.seconds:.1f} s",) if report.seconds >= SHORTEST else ()
    return f"{found}: {', '.join((*vms, _number(report.exits, 'exit'), *seconds))}"


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _finding(number: int, finding: Finding, report: Report, width: int) -> Iterator[str]:
    title = f"{finding.rule.title} [{finding.rule.id}]"
    head = f"{number}. {finding.severity}: {who(finding)}: {title}"
    yield textwrap.fill(head, width, subsequent_indent="   ", break_long_words=False)
    for label, lines in _parts(finding, report):
        for line in lines:
            yield textwrap.fill(
                line,
                width,
                initial_indent=f"   {label:<{_LABEL}}",
                subsequent_indent=" " * (_LABEL + 3),
                break_long_words=False,
                break_on_hyphens=False,
            )
            label = ""  # noqa: PLW2901 - only before the first line


def _parts(finding: Finding, report: Report) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the parts of a finding below its title: a label and lines."""
    yield "evidence", tuple(map(printable_note, finding.evidence))
    yield "cost", tuple(_cost(finding))
    yield str(finding.certainty), (printable_note(finding.because),)
    yield "when", tuple(_when(finding, report))
    yield "change", finding.remedies
    yield "more", tuple(_more(finding))


def _cost(finding: Finding) -> Iterator[str]:
    if finding.cost is not None:
        how = "measured" if finding.measured.timed else "estimated from the number of exits"
        yield f"{share_text(finding.cost)} of the vCPUs' time ({how})"


def _when(finding: Finding, report: Report) -> Iterator[str]:
    if report.windows > 1:
        seconds = finding.end - finding.begin
        yield (
            f"in {finding.windows} of {report.windows} parts of the recording; the worst are the"
            f" {seconds:.0f} s from {moment(finding.begin)} on"
        )


def _more(finding: Finding) -> Iterator[str]:
    yield command(finding)
    if finding.code and finding.rule.advice:
        isa, _ = finding.code
        yield f"kstats explain {isa}:{shlex.quote(arches.reason(*finding.code).name)}"
    yield f"see {finding.rule.source}"


def _unchecked(report: Report, how: Callable[[Unchecked], str]) -> Iterator[str]:
    for one in report.unchecked:
        rules = ", ".join(one.rules)
        yield f"not checked without {one.part} ({how(one)}): {rules}"


def moment(time: float) -> str:
    """Return a moment as UTC ISO 8601 with seconds."""
    found = datetime.fromtimestamp(max(time, 0), UTC).isoformat(timespec="seconds")
    return found.replace("+00:00", "Z")


def as_json(report: Report) -> str:
    """Return one object on a line; the schema is kstats/why/schema.json."""
    return json_line(as_object(report))


def as_object(report: Report) -> dict[str, Any]:
    """Return a report as the object that the schema describes."""
    return {
        "begin": None if report.begin is None else moment(report.begin),
        "end": None if report.end is None else moment(report.end),
        "seconds": _rounded(report.seconds),
        "windows": report.windows,
        "isa": report.isa,
        "exits": report.exits,
        "vms": list(report.vms),
        "findings": [_object(finding) for finding in report.findings],
        "unchecked": [
            {"part": one.part, "rules": list(one.rules), "command": how_to_measure(one)}
            for one in report.unchecked
        ],
        "notes": list(report.notes),
    }


def _object(finding: Finding) -> dict[str, Any]:
    measured = finding.measured
    return {
        "rule": finding.rule.id,
        "title": finding.rule.title,
        "vm": finding.subject if finding.vm else None,
        "pid": finding.vm.pid if finding.vm else None,
        "severity": str(finding.severity),
        "certainty": str(finding.certainty),
        "because": finding.because,
        "value": _rounded(measured.value),
        "unit": finding.rule.signal.unit,
        "cost": None if measured.cost is None else _rounded(measured.cost),
        "cost_measured": measured.timed,
        **_reason(finding),
        "evidence": list(finding.evidence),
        "remedies": list(finding.remedies),
        "command": command(finding),
        "source": finding.rule.source,
        "begin": moment(finding.begin),
        "end": moment(finding.end),
        "windows": finding.windows,
    }


def _reason(finding: Finding) -> dict[str, Any]:
    if finding.code is None:
        return {"isa": None, "code": None, "qualifier": None, "reason": None}
    isa, code = finding.code
    number = {"code": code & NUMBER_MASK, "qualifier": code >> NUMBER_BITS}
    return {"isa": isa, **number, "reason": arches.reason(isa, code).name}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def markdown(report: Report) -> str:
    """Return a report to paste into a ticket; names of VMs cannot become markup."""
    lines = [f"**{summary(report)}**", ""]
    for number, finding in enumerate(report.findings, 1):
        lines.append(
            f"{number}. **{finding.severity}**: {_inert(who(finding))}: {finding.rule.title}"
            f" (`{finding.rule.id}`)"
        )
        for label, texts in _parts(finding, report):
            lines += [f"   - {label}: {_inert(one)}" for one in texts if label != "more"]
        lines.append(f"   - more: {_code(command(finding))}")
    rest = [*_unchecked(report, how_to_measure), *report.notes]
    lines += ["", *(f"- {_inert(printable_note(line))}" for line in rest)] if rest else []
    return "\n".join(lines) + "\n"


def _inert(line: str) -> str:
    return _MARKUP.sub(r"\\\1", line)


def _code(line: str) -> str:
    """Return a text as code, between more backquotes than it has in a row."""
    most = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (most + 1)
    return f"{fence} {line} {fence}" if most else f"{fence}{line}{fence}"


FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": text,
    "json": as_json,
    "markdown": markdown,
}
"""Every output format by its name on the command line; the first is the default."""
