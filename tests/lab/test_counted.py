"""Test the parser of the kernel's trace, with the formats of several kernels."""

from __future__ import annotations

import pytest

from lab.vmm.counted import add_up, misnumbered
from lab.vmm.kinds import KINDS
from lab.vmm.tracing import Event

FORMAT = (
    'print fmt: "...", (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, '
    '{ 10, "CPUID" }) : __print_symbolic(REC->exit_reason, { 0x040 + 6, "UD excp" }, '
    '{ 0x07bull, "io" }), { (((0x24UL))), "DABT_LOW" }, { (0x20), "IABT_LOW" }'
)


def _exits(isa: str, *texts: str) -> dict[str, int]:
    happened = [Event(7, 1, "kvm_exit", text) for text in texts]
    return dict(add_up(isa, happened).threads[7].exits)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("reason cpuid rip 0x1227 info1 0x0000000000000000 info2 0x0", "cpuid"),
        ("vcpu 0 reason UD excp rip 0x12 info1 0x0000000000000000 info2 0x0", "UD excp"),
        ("vcpu 3 reason msr rip 0x12 info1 0x0000000000000000 info2 0x0", "msr read"),
        ("vcpu 3 reason msr rip 0x12 info1 0x0000000000000001 info2 0x0", "msr write"),
    ],
)
def test_svm_exits(text: str, name: str) -> None:
    assert _exits("svm", text) == {name: 1}


def test_vmx_exits() -> None:
    text = "vcpu 0 reason EPT_VIOLATION rip 0x100 info1 0x0000000000000781 info2 0x0"
    assert _exits("vmx", text, text) == {"EPT_VIOLATION": 2}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("TRAP: HSR_EC: 0x0016 (HVC64), PC: 0x0000000000000130", "HVC64"),
        ("IRQ: HSR_EC: 0x0016 (HVC64), PC: 0x0000000000000130", "IRQ"),
    ],
)
def test_arm64s_exception_class_is_used_for_traps_only(text: str, name: str) -> None:
    assert _exits("arm64", text) == {name: 1}


def test_lowered_lines_are_not_injections() -> None:
    name = "vgic_update_irq_pending"
    happened = [Event(7, 0, name, f"VCPU: 0, IRQ 32, level: {level}") for level in (1, 0, 1)]
    assert add_up("arm64", happened).threads[7].injected == 2


def test_userspace_exits_have_their_short_names() -> None:
    happened = [Event(7, 0, "kvm_userspace_exit", "reason KVM_EXIT_IO (2)")]
    assert add_up("svm", happened).threads[7].user_exits == {"IO": 1}


def test_a_cpu_has_the_events_of_all_its_threads() -> None:
    happened = [Event(tid, cpu, "kvm_entry", "vcpu 0") for tid, cpu in ((1, 0), (2, 0), (2, 1))]
    totals = add_up("svm", happened)
    assert (totals.cpus[0].entries, totals.cpus[1].entries) == (2, 1)


@pytest.mark.parametrize(
    ("isa", "right"),
    [("vmx", {"CPUID"}), ("svm", {"UD excp", "io"}), ("arm64", {"DABT_LOW", "IABT_LOW"})],
)
def test_numbers_are_found_in_all_spellings_of_the_kernel(isa: str, right: set[str]) -> None:
    rules = (rule for kind in KINDS.values() for rule in kind.rules)
    ours = {rule.exit.name for rule in rules if rule.exit.isa == isa and rule.exit.code is not None}
    wrong = {exit_.name for exit_ in misnumbered(isa, FORMAT)}
    assert ours - wrong == right
