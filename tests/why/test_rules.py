"""Each rule finds what it is about, and does not find what is nearly so."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Iterator

import pytest

from kstats import arch as arches
from kstats.model import Sample
from kstats.why.engine import Unchecked, judge
from kstats.why.evidence import Evidence
from kstats.why.render import RECORDED, how_to_measure
from kstats.why.rule import Rule
from kstats.why.rules import RULES
from kstats.why.signals import Exits
from tests.why.cases import BUSY, CASES, FAST_MMIO, MMIO, WFI, on_a_healthy_host
from tests.why.made import ISAS, guest

SHOWS = [(rule, sample) for rule, (shows, _) in CASES.items() for sample in shows]
MISSES = [(rule, sample) for rule, (_, misses) in CASES.items() for sample in misses]


def found(case: Sample | Evidence) -> dict[str, str]:
    """The rules that find something, with the severity."""
    report = judge(case if isinstance(case, Evidence) else Evidence.of(case))
    return {finding.rule.id: str(finding.severity) for finding in report.findings}


def test_every_rule_has_a_sample_that_shows_it_and_a_near_miss() -> None:
    assert CASES.keys() == {rule.id for rule in RULES}
    assert all(shows and misses for shows, misses in CASES.values())
    assert len(CASES) == len(RULES) >= 26


@pytest.mark.parametrize(("rule", "case"), SHOWS, ids=[rule for rule, _ in SHOWS])
def test_it_is_found(rule: str, case: Sample | Evidence) -> None:
    assert rule in found(case)


@pytest.mark.parametrize(("rule", "case"), MISSES, ids=[rule for rule, _ in MISSES])
def test_a_near_miss_is_not_found(rule: str, case: Sample | Evidence) -> None:
    assert rule not in found(case)


@pytest.mark.parametrize("isa", ISAS)
def test_an_idle_guest_has_nothing_unusual(isa: str) -> None:
    """A tickless kernel wakes up some ten times a second."""
    idle = {"vmx": "HLT", "svm": "hlt", "arm64": "WFx"}[isa]
    ints = {"vmx": "EXTERNAL_INTERRUPT", "svm": "interrupt", "arm64": "IRQ"}[isa]
    time = {"guest": 0.002, "kernel": 0.003, "vmm": 0.0, "halted": 0.994, "waiting": 0.001}
    events = {MMIO: 1, (WFI if isa == "arm64" else FAST_MMIO): 20}
    polled = {"halt_poll_fail_ns": 1_000_000, "halt_attempted_poll": 200}
    sample = guest(isa, {idle: 20, ints: 15}, us=3, time=time, events=events, counters=polled)
    report = judge(Evidence.of(on_a_healthy_host(sample)))
    assert (report.findings, report.unchecked) == ((), ())


@pytest.mark.parametrize(
    ("isa", "rates"),
    [
        (
            "vmx",
            {
                "MSR_WRITE": 2000,
                "EXTERNAL_INTERRUPT": 1200,
                "HLT": 800,
                "EPT_MISCONFIG": 900,
                "PREEMPTION_TIMER": 250,
                "EPT_VIOLATION": 40,
                "IO_INSTRUCTION": 20,
                "CPUID": 10,
            },
        ),
        (
            "svm",
            {
                "msr:wr": 2000,
                "interrupt": 1200,
                "hlt": 800,
                "npf": 900,
                "vintr": 300,
                "io": 20,
                "cpuid": 10,
                "pause": 20,
            },
        ),
        ("arm64", {"SYS64": 900, "IRQ": 1200, "WFx": 800, "DABT_LOW": 900, "HVC64": 5}),
    ],
)
def test_a_busy_healthy_guest_has_nothing_unusual(isa: str, rates: dict[str, float]) -> None:
    """A web server: a few hundred kicks a second, ticks, IPIs, a little idling."""
    wfi = {WFI: 800} if isa == "arm64" else {FAST_MMIO: 600}
    polled = {"halt_poll_fail_ns": 40_000_000, "halt_attempted_poll": 8000}
    events = {MMIO: 300, **wfi}
    sample = guest(isa, rates, us=2, time=BUSY, events=events, counters=polled)
    report = judge(Evidence.of(on_a_healthy_host(sample)))
    assert report.findings == ()
    # It has enough MSR accesses and device accesses to look at them closely.
    assert {one.part for one in report.unchecked} <= {"msr details", "mmio details"}


def selections(rule: Rule) -> Iterator[Exits]:
    """The exits that a rule looks at, in its signal and in its conditions."""
    for signal in (rule.signal, *(test.signal for test in (*rule.given, *rule.confirmed))):
        if isinstance(of := getattr(signal, "of", None), Exits):
            yield of


KNOWN = {f"{isa}:{r.name}" for isa, (_, of) in ISAS.items() for r in of.reasons.values()}


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_a_rule_names_reasons_that_exist_and_the_isas_that_it_applies_to(rule: Rule) -> None:
    names = {name for exits in selections(rule) for name in exits.reasons}
    assert names <= KNOWN
    of_signal = getattr(rule.signal, "of", None)
    if isinstance(of_signal, Exits) and of_signal.reasons and not of_signal.categories:
        isas = {name.partition(":")[0] for name in of_signal.reasons}
        assert isas == {*(rule.isas or ISAS)}


def commands(line: str) -> Iterator[list[str]]:
    """The commands of kstats in a line of commands."""
    for command in line.split(";"):
        words = shlex.split(command)
        if words and words[0] == "kstats":
            yield words[1:]


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_the_commands_that_show_more_are_valid(rule: Rule) -> None:
    lines = (rule.command.format(vm="--vm 'web 1'"), rule.command.format(vm=""))
    for words in (words for line in lines for words in commands(line)):
        module = importlib.import_module(f"kstats.cli.{words[0]}")
        assert module.parser().parse(words[1:], dict)  # raises for unknown options


@pytest.mark.parametrize("part", [*RECORDED, "msr details"])
def test_what_is_missing_can_be_measured_by_a_valid_command(part: str) -> None:
    line = how_to_measure(Unchecked(part, ("x",)))
    words = line[line.index("kstats") :].split(",")[0].split()
    module = importlib.import_module(f"kstats.cli.{words[1]}")
    assert module.parser().parse(words[2:], dict)


def test_thresholds_ascend() -> None:
    for rule in RULES:
        levels = list(rule.levels.values())
        assert levels
        assert levels == sorted(levels)


def test_a_rule_is_not_preferred_to_one_that_does_not_exist() -> None:
    ids = {rule.id for rule in RULES}
    assert {one for rule in RULES for one in rule.unless} <= ids | {"*"}


def test_details_that_rules_ask_for_exist() -> None:
    for isa, (arch, _) in ISAS.items():
        kinds = {detail.name for source in arches.find(arch).sources for detail in source.details}
        for rule in RULES:
            asked = {exits.detail for exits in selections(rule) if exits.detail}
            assert not asked or isa not in rule.isas or asked <= kinds
