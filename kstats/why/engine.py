"""Evidence is judged by rules; findings of several windows are merged and ranked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import attrs

from kstats import arch as arches
from kstats.model import Code
from kstats.vms.identity import Vm
from kstats.why.evidence import Evidence, Subject
from kstats.why.rule import ANY, Certainty, Rule, Severity, Test
from kstats.why.rules import RULES
from kstats.why.signals import Measured, Missing


@attrs.frozen(eq=False)
class Finding:
    """Something that makes a VM slow.

    Attributes:
        rule: The rule that found it.
        subject: The name of the VM, or what else it is about; empty for the host.
        vm: The VM, if it is about one.
        severity: How much it matters.
        certainty: How sure it is.
        because: Why it is so sure.
        measured: The number that reached a threshold.
        evidence: All numbers that prove it, in words.
        begin: When the window began in which the number was highest, seconds since the epoch.
        end: When it ended.
        windows: In how many windows it was found.
    """

    rule: Rule
    subject: str
    vm: Vm | None
    severity: Severity
    certainty: Certainty
    because: str
    measured: Measured
    evidence: tuple[str, ...]
    begin: float
    end: float
    windows: int = 1

    @property
    def cost(self) -> float | None:
        """The share of the vCPUs' time that it takes; None if unknown."""
        return self.measured.cost

    @property
    def code(self) -> Code | None:
        """The most frequent exit code that it is about."""
        return self.measured.code

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to change: the rule's own remedies, then those of ``kstats explain``."""
        advice = arches.reason(*self.code).advice.remedies if self.code and self.rule.advice else ()
        return tuple(dict.fromkeys((*self.rule.remedies, *advice)))

    @property
    def rank(self) -> tuple[float, ...]:
        """The most important come first: by severity, cost, and certainty."""
        return (-self.severity, -(self.cost or 0), -self.certainty)


@attrs.frozen
class Unchecked:
    """What could not be checked: the missing part of the evidence, and the rules that need it."""

    part: str
    rules: tuple[str, ...]


@attrs.frozen(eq=False)
class Report:
    """The answer.

    Attributes:
        findings: The most important first; none means nothing unusual.
        unchecked: What could not be checked.
        vms: The names of the VMs that were looked at.
        exits: How many exits were looked at.
        isa: The ISA of the exits; empty if there were none.
        begin: When the first window began, seconds since the epoch; None without windows.
        end: When the last one ended.
        seconds: The sum of the windows' lengths.
        windows: How many windows were looked at.
        notes: Remarks on the samples, one line each.
    """

    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    vms: tuple[str, ...] = ()
    exits: int = 0
    isa: str = ""
    begin: float | None = None
    end: float | None = None
    seconds: float = 0
    windows: int = 0
    notes: tuple[str, ...] = ()

    def worst(self) -> Severity | None:
        """Return the highest severity of its findings."""
        return max((finding.severity for finding in self.findings), default=None)


class Judge:
    """Judges windows one after the other; memory does not grow with their number."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._found: dict[tuple[str, str], Finding] = {}
        self._missing: dict[str, dict[str, None]] = {}
        self._checked: set[str] = set()
        self._vms: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._begin: float | None = None
        self._end: float | None = None
        self._isa = ""
        self._exits = 0
        self._seconds = 0.0
        self._windows = 0

    def add(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Judge one window; return its findings, the most important first."""
        found = list(self._findings(evidence.host, evidence))
        of_host = {finding.rule.id for finding in found}
        for vm in evidence.vms:
            found += self._findings(vm, evidence, of_host)
        for finding in found:
            key = finding.rule.id, finding.subject
            self._found[key] = _worse(self._found.get(key), finding)
        self._windows += 1
        self._begin = evidence.begin if self._begin is None else self._begin
        self._end = evidence.end
        self._isa = evidence.isa or self._isa
        self._exits += sum(evidence.host.exits.values())
        self._seconds += evidence.host.seconds
        self._vms |= dict.fromkeys(vm.name for vm in evidence.vms if vm.vm)
        self._notes |= dict.fromkeys(evidence.notes)
        return tuple(sorted(found, key=lambda finding: finding.rank))

    def report(self) -> Report:
        """Return what was found in all windows."""
        return Report(
            findings=tuple(sorted(self._found.values(), key=lambda finding: finding.rank)),
            unchecked=tuple(self._unchecked()),
            vms=tuple(self._vms),
            exits=self._exits,
            isa=self._isa,
            begin=self._begin,
            end=self._end,
            seconds=self._seconds,
            windows=self._windows,
            notes=tuple(self._notes),
        )

    def _unchecked(self) -> Iterator[Unchecked]:
        """Yield what no window had: counters of the host, for example, are read now and then."""
        for part, ids in self._missing.items():
            never = tuple(one for one in ids if one not in self._checked)
            if never:
                yield Unchecked(part, never)

    def missing(self) -> tuple[str, ...]:
        """Return the parts of evidence that rules lacked, those that most rules lacked first."""
        return tuple(sorted(self._missing, key=lambda part: -len(self._missing[part])))

    def _findings(
        self, subject: Subject, evidence: Evidence, known: Collection[str] = ()
    ) -> Iterator[Finding]:
        """Yield the findings of a subject that no other one explains better.

        ``known`` are the rules that found something about the host.
        """
        found = {}
        for rule in self._rules:
            if rule.host == (subject is evidence.host) and _applies(rule, evidence):
                try:
                    finding = _judged(rule, subject, evidence)
                except Missing as missing:
                    self._missing.setdefault(missing.part, {})[rule.id] = None
                    continue
                self._checked.add(rule.id)
                if finding:
                    found[rule.id] = finding
        fired = {*found, *known}
        yield from (one for one in found.values() if not _explained(one.rule, fired))


def judge(evidence: Evidence) -> Report:
    """Return what the rules find in one window."""
    judge = Judge()
    judge.add(evidence)
    return judge.report()


def _explained(rule: Rule, found: Collection[str]) -> bool:
    """Return whether another finding explains what the rule found."""
    return len(found) > 1 if rule.unless == ANY else any(one in found for one in rule.unless)


def _applies(rule: Rule, evidence: Evidence) -> bool:
    return not rule.isas or evidence.isa in rule.isas


def _judged(rule: Rule, subject: Subject, evidence: Evidence) -> Finding | None:
    """Return the finding if the rule fires. Raises Missing if it cannot be checked."""
    least = min(rule.levels.values())
    measured = rule.signal.measure(subject, least)
    severity = rule.severity(measured) if measured else None
    if measured is None or severity is None:
        return None
    held = [test.holds(subject) for test in rule.given]
    proofs = [proof for proof in held if proof]
    if len(proofs) < len(held):
        return None
    confirmed = list(_holding(rule.confirmed, subject))
    because = rule.because
    if confirmed:
        because = "; ".join(proof.text for proof in confirmed)
    proofs += _holding(rule.context, subject)
    texts = [measured.text, *measured.more]
    texts += [text for proof in proofs for text in (proof.text, *proof.more)]
    return Finding(
        rule=rule,
        subject=subject.name,
        vm=subject.vm,
        severity=severity,
        certainty=Certainty.CERTAIN if confirmed else rule.certainty,
        because=because,
        measured=measured,
        evidence=tuple(dict.fromkeys(texts)),
        begin=evidence.begin,
        end=evidence.end,
    )


def _holding(tests: Iterable[Test], subject: Subject) -> Iterator[Measured]:
    """Yield what was measured for the tests that hold; what cannot be checked does not."""
    for test in tests:
        try:
            proof = test.holds(subject)
        except Missing:
            continue
        if proof:
            yield proof


def _worse(known: Finding | None, found: Finding) -> Finding:
    """Return the worse of two findings of one rule about one VM, with the sum of the windows."""
    if known is None:
        return found
    first = min(known, found, key=lambda one: (one.rank, one is found))
    return attrs.evolve(first, windows=known.windows + found.windows)
