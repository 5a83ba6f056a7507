"""The oracle itself: workloads as text, and the exits they are said to make."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from lab.vmm.errors import WorkloadError
from lab.vmm.kinds import ANY_TIME, ISAS, KINDS, X64, Exit
from lab.vmm.workload import (
    MIXES,
    Step,
    expected,
    expected_exits,
    expected_halves,
    expected_user,
    halves,
    inexact,
    injected,
    mix,
    parse,
    require,
)

EVERY = [(kind.name, isa) for kind in KINDS.values() for isa in kind.isas]


def test_parse_reads_counts_arguments_and_hexadecimal() -> None:
    assert parse("cpuid=3, io@0x80=0x10,io=2") == (
        Step("cpuid", 3, 0),
        Step("io", 16, 0x80),
        Step("io", 2, 0x3F8),
    )


def test_parse_of_nothing_is_an_empty_workload() -> None:
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cpu=1", "unknown kind 'cpu'"),
        ("cpuid", "'cpuid' is not kind=count"),
        ("cpuid=x", "'cpuid=x' is not kind=count"),
        ("cpuid=0", "0 is not within 0x1"),
        ("cpuid=-1", "-1 is not within 0x1"),
        ("io@0x10000=1", "0x10000 is not within 0x0 … 0xffff"),
        ("hlt@1=1", "hlt takes no argument"),
    ],
)
def test_parse_errors_name_the_item(text: str, complaint: str) -> None:
    with pytest.raises(WorkloadError, match=re.escape(complaint)):
        parse(text)


def test_require_refuses_kinds_that_an_isa_does_not_have() -> None:
    with pytest.raises(WorkloadError, match="arm64 has no cpuid"):
        require(parse("cpuid=1"), "arm64")


def test_require_refuses_kinds_that_cannot_share_a_vm() -> None:
    with pytest.raises(WorkloadError, match="sleep needs an irqchip in the kernel, hlt needs none"):
        require(parse("hlt=1,sleep=1"), "vmx")


@pytest.mark.parametrize(("name", "isa"), [(name, isa) for name in MIXES for isa in ISAS])
def test_mixes_run_on_their_isas(name: str, isa: str) -> None:
    require(mix(name, isa), isa)


def test_expected_includes_start_and_rings() -> None:
    assert expected(parse("cpuid=1000"), "svm") == {
        ("svm", "npf"): 5,
        ("svm", "io"): 2,
        ("svm", "cpuid"): 1000,
    }
    assert expected((), "arm64") == {("arm64", "IABT_LOW"): 1, ("arm64", "DABT_LOW"): 3}


def test_only_the_first_mmio_is_a_violation_on_vmx() -> None:
    counts = expected(parse("mmio=7,cpuid=1,mmio=3"), "vmx")
    assert counts["vmx", "EPT_VIOLATION"] == 5 + 1
    assert counts["vmx", "EPT_MISCONFIG"] == 9


def test_one_mmio_makes_no_misconfiguration() -> None:
    assert ("vmx", "EPT_MISCONFIG") not in expected(parse("mmio=1"), "vmx")


def test_svm_msr_reads_and_writes_are_one_code_and_two_exits() -> None:
    workload = parse("rdmsr=3,wrmsr=4")
    assert expected(workload, "svm")["svm", "msr"] == 7
    exits = expected_exits(workload, "svm")
    assert exits[Exit("svm", 0x7C, "msr", "read")] == 3
    assert exits[Exit("svm", 0x7C, "msr", "write")] == 4


def test_inexact_names_are_not_expected() -> None:
    workload = parse("wfe=5,wfi=5")
    assert ("arm64", "WFx") not in expected(workload, "arm64")
    assert Exit("arm64", 0x01, "WFx") in inexact(workload, "arm64")


@pytest.mark.parametrize(("kind", "isa"), EVERY)
def test_every_unit_counts_the_same(kind: str, isa: str) -> None:
    """From the second unit on, each adds the same exits: nothing depends on the count."""
    totals = [Counter(expected(parse(f"{kind}={n}"), isa)) for n in range(1, 6)]
    steps = [more - fewer for fewer, more in pairwise(totals)]
    assert all(step == steps[0] for step in steps)


@pytest.mark.parametrize(("kind", "isa"), EVERY)
def test_two_steps_of_a_kind_are_one_step_of_both(kind: str, isa: str) -> None:
    assert expected(parse(f"{kind}=2,{kind}=3"), isa) == expected(parse(f"{kind}=5"), isa)


@pytest.mark.parametrize(("kind", "isa"), EVERY)
def test_every_kind_has_a_certain_exit_or_an_inexact_one(kind: str, isa: str) -> None:
    workload = parse(f"{kind}=5")
    grows = expected(workload, isa) != expected((), isa)
    assert grows or inexact(workload, isa) >= ANY_TIME[isa]


@pytest.mark.parametrize("isa", ISAS)
def test_exits_at_any_time_are_never_certain(isa: str) -> None:
    certain = {rule.exit for kind in KINDS.values() for rule in kind.rules if rule.exact}
    assert not certain & ANY_TIME[isa]


def test_a_code_has_one_name_and_a_name_one_code() -> None:
    exits = {rule.exit for kind in KINDS.values() for rule in kind.rules}
    by_code = Counter((exit_.isa, exit_.code, exit_.access) for exit_ in exits)
    by_name = Counter((exit_.isa, exit_.name, exit_.access) for exit_ in exits)
    assert {*by_code.values(), *by_name.values()} == {1}


def test_halves_lose_no_unit_and_put_the_odd_one_last() -> None:
    first, second = halves(parse("cpuid=5,io=1"))
    assert [(step.kind, step.count) for step in first] == [("cpuid", 2)]
    assert [(step.kind, step.count) for step in second] == [("cpuid", 3), ("io", 1)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("laps", [1, 3])
def test_expected_halves_sum_to_the_whole(isa: str, laps: int) -> None:
    workload = mix("demo", isa)
    first, second = expected_halves(workload, isa, laps=laps)
    assert Counter(first) + Counter(second) == expected(workload, isa, laps=laps, moves=True)


def test_first_faults_and_the_ring_for_the_move_are_on_the_first_cpu() -> None:
    first, second = expected_halves(parse("cpuid=3"), "svm")
    assert first == {("svm", "npf"): 5, ("svm", "io"): 2, ("svm", "cpuid"): 1}
    assert second == {("svm", "npf"): 0, ("svm", "io"): 1, ("svm", "cpuid"): 2}


def test_laps_repeat_everything_except_the_start() -> None:
    counts = expected(parse("page=10,mmio=2"), "vmx", laps=3)
    assert counts == {
        ("vmx", "EPT_VIOLATION"): 5 + 30 + 1,
        ("vmx", "EPT_MISCONFIG"): 5,
        ("vmx", "IO_INSTRUCTION"): 6,
    }


def test_userspace_exits_follow_the_kinds() -> None:
    workload = parse("io=3,mmio=4,hlt=5,irqwin=2,cpuid=9")
    assert expected_user(workload, "svm") == {
        "IO": 3 + 2 + 2,
        "MMIO": 4,
        "HLT": 5,
        "IRQ_WINDOW_OPEN": 2,
    }
    assert injected(workload, laps=2) == 4


@pytest.mark.parametrize("isa", X64)
def test_io_goes_to_userspace_as_often_as_it_exits(isa: str) -> None:
    workload = parse("io=3,in=2,irq=4,irqwin=5")
    exits = expected(workload, isa)
    assert expected_user(workload, isa)["IO"] in exits.values()
