"""``kstats why``: what makes VMs slow, and what to change."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from io import BufferedReader

import attrs

from kstats import recording
from kstats.cli import options, session, sources, streams
from kstats.cli.ticker import until_asked
from kstats.errors import KstatsError, RecordingError, UsageError
from kstats.escape import printable
from kstats.model import Code, Sample
from kstats.recording.files import BEGIN, MAGIC
from kstats.vms.identity import Vm
from kstats.vms.select import matches, select
from kstats.why.engine import Judge, Report
from kstats.why.evidence import Evidence
from kstats.why.render import FORMATS
from kstats.why.rule import Severity

STDIN = "-"


class NotUnderstoodError(KstatsError):
    """Much of another tool's file was not understood; the status is that of kstats decode."""

    status = 8
    hint = "kstats decode FILE shows what was understood"


FOUND = 10
"""Exit status when a finding is as severe as --fail-on says."""

SECONDS = 10.0
LONGEST = 3600.0
"""The default duration, and the longest: a larger number is a process ID that lacks one."""

_DESCRIPTION = f"""\
Count for {SECONDS:.0f} seconds, or read a recording or what another tool recorded, and list what is
unusual, the most important first: the numbers that prove it, how certain it is, what it costs, what
to change, and the command that shows more. "nothing unusual" is an answer, too.

  kstats why                          all VMs of this host
  kstats why web                      one VM, by name, pid or glob
  kstats why web db 30                two VMs, for 30 seconds
  kstats why --input night.jsonl.zst  each {SECONDS:.0f} seconds of a recording
  kstats why --input trace.txt        a trace of perf or ftrace, or another tool's table
  kstats why --against before.jsonl.zst web     also what is new since that recording
  kstats why -f json --fail-on warning          for scripts
"""

_EPILOG = f"""\
Rates are exits per vCPU-second. docs/why.md lists the rules, their thresholds and the reasons for
them. Rules that could not be checked are listed at the end, with what they need.

exit status: {FOUND} if a finding is as severe as --fail-on says; else see kstats --help
"""


def parser() -> options.Parser:
    """Return the command line of ``kstats why``."""
    p = options.Parser.of("why", "[VM…] [seconds]", _DESCRIPTION, _EPILOG)
    add = p.add_argument
    text = "only these VMs, by name, pid or glob; a number at the end is the seconds"
    add("vms", nargs="*", metavar="VM", help=text)
    text = "judge a recording, or what another tool recorded; - is standard input"
    add("--input", metavar="FILE", help=text)
    add("--isa", metavar="ISA", help="--input: the ISA of another tool's exits (default: detect)")
    add("--against", metavar="FILE", help="also find what is new since this recording")
    levels = [str(severity) for severity in Severity]
    text = f"exit with status {FOUND} if a finding is at least this severe"
    add("--fail-on", choices=levels, help=text)
    p.add_format(FORMATS)
    options.add_probe_arguments(p)
    return p


@attrs.frozen(kw_only=True)
class WhyOptions:
    """The options of ``kstats why``; ``vms`` may end with the seconds."""

    vms: list[str]
    input: str | None
    isa: str | None
    against: str | None
    fail_on: str | None
    format: str
    probe: str | None
    loader: str | None
    debug: bool

    def split(self) -> tuple[tuple[str, ...], float | None]:
        """Return the VMs, and the seconds if they are given.

        Raises:
            UsageError: The seconds are out of bounds.
        """
        if not self.vms or not re.fullmatch(r"\d{1,9}(\.\d*)?|\.\d+", self.vms[-1], re.ASCII):
            return tuple(self.vms), None
        seconds = options.seconds(self.vms[-1], "the duration")
        if seconds > LONGEST and self.input is None:
            raise UsageError(
                f"the duration {self.vms[-1]!r} is longer than {LONGEST:.0f} seconds",
                f"to name a process, add the seconds: kstats why {self.vms[-1]} 10",
            )
        return tuple(self.vms[:-1]), seconds


def run(words: list[str]) -> int:
    """Run ``kstats why``; return the exit status."""
    wanted = parser().parse(words, WhyOptions)
    vms, seconds = wanted.split()
    before = None if wanted.against is None else _highest(wanted, wanted.against, seconds)
    judge = Judge()
    faults: list[KstatsError] = []
    known: dict[Vm, None] = {}
    for evidence in _evidence(wanted, vms, seconds, faults):
        known |= dict.fromkeys(subject.vm for subject in evidence.vms if subject.vm)
        evidence = _narrowed(evidence, vms)  # noqa: PLW2901
        judge.add(evidence if before is None else evidence.beside(before))
    for pattern in vms:
        select(known, pattern)  # raises if there was no such VM
    report = judge.report()
    with streams.writing() as out:
        out.write(FORMATS[wanted.format](report))
    sources.raise_last(faults)
    return FOUND if _fails(wanted.fail_on, report) else 0


def _fails(level: str | None, report: Report) -> bool:
    worst = report.worst()
    return level is not None and worst is not None and worst >= Severity[level.upper()]


def _evidence(
    wanted: WhyOptions, vms: Sequence[str], seconds: float | None, faults: list[KstatsError]
) -> Iterator[Evidence]:
    """Yield the evidence of each window; what ends a recording too early is put into ``faults``."""
    if wanted.input is not None:
        samples = _samples(wanted.input, wanted.isa, seconds, faults)
        yield from map(Evidence.of, until_asked(samples))
        return
    from kstats.cli import why_live  # noqa: PLC0415 - recordings do not need it

    if sys.stderr.isatty():
        session.print_errors([f"measuring for {seconds or SECONDS:g} seconds"])
    yield why_live.measured(
        vms, seconds or SECONDS, wanted.probe, wanted.loader, debug=wanted.debug
    )


def _samples(
    path: str, isa: str | None, seconds: float | None, faults: list[KstatsError]
) -> Iterator[Sample]:
    """Yield samples of about ``seconds`` each of a recording or of what another tool wrote."""
    window = seconds or SECONDS
    with _opened(path) as file:
        if file.peek(len(BEGIN)).startswith((BEGIN, MAGIC)):
            name = "standard input" if path == STDIN else printable(path)
            recorded = recording.Recording(name, file)
            early: list[RecordingError] = []
            yield from recording.merged(sources.until_fault(recorded, early), window)
            faults += early
            if recorded.tail:
                session.print_errors([f"{name}: {recorded.tail}"])
            return
        from kstats.importers import decode  # noqa: PLC0415 - recordings do not need it

        decoded = decode(file, isa=isa, interval=window)
        for sample in decoded:
            # Counts without times: they are of as many seconds as the command line says.
            yield sample if sample.elapsed else attrs.evolve(sample, elapsed=seconds or 0.0)
        if decoded.shortfall:
            faults.append(NotUnderstoodError(decoded.shortfall))


def _opened(path: str) -> BufferedReader:
    """Return a file, or standard input, to be read as bytes."""
    try:
        # A duplicate, because the file is closed after it was read.
        return open(os.dup(0) if path == STDIN else path, "rb")  # noqa: PTH123
    except OSError as error:
        raise KstatsError(f"cannot read {printable(path)}: {error.strerror}") from error


def _highest(wanted: WhyOptions, path: str, seconds: float | None) -> dict[str, dict[Code, float]]:
    """Return the highest rate of each code in any window, by the name of the VM; "" is the host."""
    highest: dict[str, dict[Code, float]] = {"": {}}
    faults: list[KstatsError] = []
    for evidence in map(Evidence.of, _samples(path, wanted.isa, seconds, faults)):
        for subject in (evidence.host, *evidence.vms):
            known = highest.setdefault(subject.name, {})
            for code, rate in subject.rates.items():
                known[code] = max(known.get(code, 0), rate)
    sources.raise_last(faults)
    return highest


def _narrowed(evidence: Evidence, vms: Sequence[str]) -> Evidence:
    """Return the evidence with the VMs that are asked for; all without any."""
    if not vms:
        return evidence
    wanted = (s for s in evidence.vms if s.vm and any(matches(s.vm, one) for one in vms))
    return attrs.evolve(evidence, vms=tuple(wanted))
