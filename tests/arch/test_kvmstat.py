"""The rules of kvmstat's columns keep the contract and agree with counters of real kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kstats import arch
from kstats.arch.base import Arch
from kstats.arch.kvmstat import COLUMNS, Event, Rule, absent
from kstats.arch.rules import check
from kstats.collector.kvm_stats.layout import parse
from lab.vmm import workload as workloads
from tests.arch.samples import sample

DATA = Path(__file__).parents[1] / "data" / "kvmstats"

# Each file has the counters of a vCPU that did this work and nothing else.
X64 = (
    "cpuid=1009,io=211,in=19,rdmsr=307,wrmsr=151,hypercall=53,page=43,exec=29,mmio=41,hlt=59,"
    "cr0=29,irq=17,irqwin=31"
)
ARM64 = "hypercall=1009,smc=53,sys64=307,page=43,exec=29,mmio=211,wfi=61,irq=19"
RECORDED = [
    ("bookworm-6.1-amd64", "svm", X64),
    ("trixie-6.12-amd64", "svm", X64),
    ("bookworm-6.1-arm64", "arm64", ARM64),
    ("trixie-6.12-arm64", "arm64", ARM64),
]


def rules(isa: str) -> dict[str, Rule]:
    (found,) = (one.kvmstat[isa] for one in arch.arches() if one.isa(isa))
    return {rule.column: rule for rule in found}


def recorded(name: str) -> dict[str, int]:
    data = (DATA / f"{name}.stats").read_bytes()
    layout = parse(data)
    return layout.counters(data[layout.data_offset :])


def exits(text: str, isa: str) -> Counter[str]:
    """Return the certain exits of a workload, by the kernel's name."""
    expected = workloads.expected(workloads.parse(text), isa)
    return Counter({name: count for (_, name), count in expected.items()})


ISAS = [isa.name for one in arch.BUILT_IN for isa in one.isas if isa.name in one.kvmstat]


@pytest.mark.parametrize("isa", ISAS)
def test_every_isa_has_every_column(isa: str) -> None:
    assert tuple(rules(isa)) == COLUMNS


@pytest.mark.parametrize(("name", "isa", "text"), RECORDED, ids=[name for name, *_ in RECORDED])
def test_the_kernels_counters_agree_with_the_guests_work(name: str, isa: str, text: str) -> None:
    """The oracle is the guest's work. Other columns may have any value."""
    stats, expected = recorded(name), exits(text, isa)
    units = {step.kind: step.count for step in workloads.parse(text)}
    if isa == "svm":
        wanted = {
            "haltx": expected["hlt"],
            "irqwx": expected["vintr"],
            "iox": expected["io"],
            "mmiox": units["mmio"],
            "irqs": workloads.injected(workloads.parse(text)),
            # Without MMIO: here the kernel's counter differs.
            "eptv": expected["npf"] - units["mmio"],
        }
    else:
        user = workloads.expected_user(workloads.parse(text), isa)
        wanted = {"haltx": units["wfi"], "mmiox": user["MMIO"]}
    found = {column: rules(isa)[column].look_up(stats) for column in wanted}
    assert found == wanted


@pytest.mark.parametrize(("name", "isa", "text"), RECORDED, ids=[name for name, *_ in RECORDED])
def test_all_exits_are_the_guests_and_the_hosts(name: str, isa: str, text: str) -> None:
    stats = recorded(name)
    own = (rules(isa)["irqx"].look_up(stats) or 0) + stats.get("wfi_exit_stat", 0)
    total = rules(isa)["exits"].look_up(stats)
    assert total is not None
    if isa == "svm":
        assert total == exits(text, isa).total() + own
    else:
        assert total >= exits(text, isa).total()


@pytest.mark.parametrize(("name", "isa", "text"), RECORDED, ids=[name for name, *_ in RECORDED])
def test_every_counter_of_a_rule_is_one_of_the_kernels(name: str, isa: str, text: str) -> None:
    del text
    named = {stat for rule in rules(isa).values() for stat in rule.stats}
    assert named <= recorded(name).keys()


@pytest.mark.parametrize("isa", ["vmx", "svm"])
@pytest.mark.parametrize(
    ("column", "kstats_column"),
    [
        ("haltx", "inst_hlt"),
        ("irqx", "ints"),
        ("irqwx", "ints_win"),
        ("iox", "inst_io"),
        ("eptv", "ept"),
    ],
)
def test_columns_agree_with_those_of_kstats(isa: str, column: str, kstats_column: str) -> None:
    """Columns with the same meaning have the same value."""
    reasons = arch.isa(isa).reasons.values()
    assert rules(isa)[column].exits == {r.code for r in reasons if r.column == kstats_column}


def test_arm64_agrees_with_kstats() -> None:
    reasons = arch.isa("arm64").reasons.values()
    counted = {r.code for r in reasons if r.column in ("inst_abt", "data_abt")}
    assert rules("arm64")["eptv"].exits == counted
    assert rules("arm64")["irqx"].exits == {r.code for r in reasons if r.column == "ints"}


def test_what_a_column_counts() -> None:
    some = Event("some_event", arg=0, values=frozenset({1}))
    rule = Rule("iox", "some", exits=frozenset({1, 2}), events=(some,), not_kept="why")
    assert rule.counted({1: 5, 3: 100}, {some.label: 7, "other": 9}) == 12
    assert rule.counted({}, {some.label: 0}) == 0
    everything = Rule("exits", "all", every_exit=True, not_kept="why")
    assert everything.counted({1: 5, 3: 100}, {some.label: 7}) == 105
    assert absent("iox", "why").counted({1: 5}, {some.label: 7}) is None


def test_a_column_is_not_half_counted() -> None:
    both = (Event("some_event"), Event("other_event"))
    rule = Rule("mmiox", "some", events=both, not_kept="why")
    assert rule.counted({}, {"some_event": 7}) is None


def test_events_of_one_tracepoint_have_different_labels() -> None:
    read = Event("kvm_mmio", arg=0, values=frozenset({1}))
    either = Event("kvm_mmio", arg=0, values=frozenset({2, 1}))
    assert [Event("kvm_mmio").label, read.label, either.label] == [
        "kvm_mmio",
        "kvm_mmio:0=1",
        "kvm_mmio:0=1,2",
    ]


def test_what_a_column_looks_up() -> None:
    rule = Rule("mmiox", "some", not_counted="why", stats=("user", "kernel"))
    assert rule.look_up({"user": 2, "kernel": 3, "other": 9}) == 5
    assert rule.look_up({"user": 2}) is None
    assert absent("iox", "why").look_up({"user": 2}) is None


def spoiled(tmp_path: Path, **changes: Any) -> Arch:
    """Return the sample with a rule for each of kvmstat's columns, the first one changed."""
    one = Rule("exits", "all", every_exit=True, stats=("exits",))
    good = [one, *(absent(column, "why not") for column in COLUMNS[1:])]
    good[0] = one._replace(**changes)
    return sample(tmp_path)._replace(kvmstat={"demo": tuple(good)})


def test_a_backend_may_have_rules_or_none(tmp_path: Path) -> None:
    assert check(spoiled(tmp_path)) == []
    assert check(sample(tmp_path)) == []


SOME = frozenset({1})
DEFECTS: list[tuple[str, Callable[[], dict[str, Any]]]] = [
    ("the columns are not exits haltx", lambda: {"column": "halts"}),
    ("no reason has code 0x77", lambda: {"exits": frozenset({0x77})}),
    ("must count something or have not_counted", lambda: {"not_counted": "why not"}),
    ("must count something or have not_counted", lambda: {"every_exit": False}),
    ("must have stats or not_kept", lambda: {"not_kept": "why not"}),
    ("must have stats or not_kept", lambda: {"stats": ()}),
    ("differs, but not two", lambda: {"stats": (), "not_kept": "why not", "differs": "so"}),
    ("Rule.stats has characters other than lower-case letters", lambda: {"stats": ("a-b",)}),
    ("Event.tracepoint has characters other", lambda: {"events": (Event("kvm:exit"),)}),
    ("Event: arg and values go together", lambda: {"events": (Event("kvm_x", arg=1),)}),
    ("Event: arg and values go together", lambda: {"events": (Event("kvm_x", values=SOME),)}),
    ("Event: arg is not below 12", lambda: {"events": (Event("kvm_x", arg=12, values=SOME),)}),
    ("Rule.meaning is not one line", lambda: {"meaning": ""}),
    ("Rule.differs is not one line", lambda: {"differs": "two\nlines"}),
]


@pytest.mark.parametrize(("problem", "changes"), DEFECTS)
def test_each_defect_is_found(
    problem: str, changes: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    problems = check(spoiled(tmp_path, **changes()))
    assert any(problem in line for line in problems), problems


def test_rules_of_an_unknown_isa(tmp_path: Path) -> None:
    one = sample(tmp_path)._replace(kvmstat={"other": ()})
    assert check(one) == ["kvmstat: there is no ISA 'other'"]


def document_row(isa: str, rule: Rule) -> str:
    """Return the row of a rule in docs/kvmstat.md."""
    known = arch.isa(isa).reasons
    counted = ["every exit"] if rule.every_exit else [f"`{known[c].name}`" for c in rule.exits]
    counted = sorted(counted) + [
        f"event `{event.tracepoint}`{_when(event)}" for event in rule.events
    ]
    cells = (
        f"`{rule.column}`",
        rule.meaning if rule.is_counted else f"`-`: {rule.meaning}",
        " + ".join(counted) or "`-`",
        " + ".join(f"`{stat}`" for stat in rule.stats) or "`-`",
        rule.differs,
    )
    return f"| {' | '.join(cells)} |"


def _when(event: Event) -> str:
    values = " or ".join(str(value) for value in sorted(event.values))
    return f", argument {event.arg} is {values}" if event.values else ""


@pytest.mark.parametrize("isa", ISAS)
def test_the_document_has_the_rules(isa: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "kvmstat.md").read_text()
    section = text.partition(f"\n### {arch.isa(isa).title}\n")[2].partition("\n#")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    assert shown == [document_row(isa, rule) for rule in rules(isa).values()]
