"""What each category means, on every architecture and on each ISA.

An ISA's own notes are its data (:attr:`kstats.arch.base.Isa.category_notes`), so a backend of
another package explains itself wherever ours do: in ``kstats compare --explain`` and in
docs/categories.md, which is written from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from kstats.arch.base import Category, Isa


@attrs.frozen
class Meaning:
    """``summary`` says what is in a category, ``hides`` what that hides, wherever one is."""

    summary: str
    hides: tuple[str, ...] = ()


MEANINGS: Mapping[Category, Meaning] = {
    Category.INTERRUPT: Meaning(
        "The guest was stopped for, or got, an interrupt: one of the host's arrived, the guest"
        " became able to take one that waits for it, or it used its interrupt controller in a way"
        " that KVM emulates."
    ),
    Category.MEMORY: Meaning(
        "The guest touched memory that its second-level page table does not map or permit, or"
        " changed first-level mappings in a way that exits.",
        (
            (
                "**MMIO is in here, on every architecture.** Most have one code for MMIO and for"
                " missing memory; counting it elsewhere where there are two would make hosts"
                " incomparable."
            ),
        ),
    ),
    Category.IO: Meaning("Port I/O, which only x86 has."),
    Category.REGISTER: Meaning(
        "The guest read or wrote a system register: control, debug and descriptor-table registers,"
        " MSRs, XCR0, time-stamp and performance counters, system registers, registers that say"
        " what the processor is."
    ),
    Category.IDLE: Meaning("The guest has nothing to do: HLT, MWAIT, MONITOR, WFI."),
    Category.SPIN: Meaning(
        "The guest waits for a lock in a PAUSE loop, long enough for the processor to notice."
    ),
    Category.HYPERCALL: Meaning(
        "The guest called the hypervisor on purpose: VMCALL, VMMCALL, HVC, SMC."
    ),
    Category.EXCEPTION: Meaning(
        "The guest raised an exception, or was about to, that KVM intercepts."
    ),
    Category.OTHER: Meaning(
        "The rest: cache maintenance, virtualization instructions of nested hypervisors, task"
        " switches, failed entries, and every code without a name."
    ),
}

EVERYWHERE = (
    "Exits of nested guests (L2) that reach KVM are counted like any other.",
    (
        "An exit that the processor or KVM's innermost code settles without telling is not counted:"
        " posted interrupts, APIC virtualization, and what KVM's EL2 code on ARM64 handles alone."
    ),
)
"""What holds of every category."""


def notes(category: Category, isas: Iterable[Isa]) -> list[tuple[str, str]]:
    """(titles of ISAs, what they have to say), a paragraph each; what two say alike, once."""
    said: dict[str, list[str]] = {}
    for isa in isas:
        for text in isa.category_notes.get(category, ()):
            said.setdefault(text, []).append(isa.title)
    return [(", ".join(titles), text) for text, titles in said.items()]


def possible(isa: Isa) -> frozenset[Category]:
    """The categories that an exit of this ISA can be in: in any other, a zero means nothing."""
    named = (reason.category for reason in isa.reasons.values())
    return frozenset(named) | {Category.OTHER}
