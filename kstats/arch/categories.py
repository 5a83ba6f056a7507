"""The meaning of each category, in general and on each ISA.

The notes of an ISA are its data (:attr:`kstats.arch.base.Isa.category_notes`), so that
``kstats compare --explain`` also prints those of backends in other packages. docs/categories.md
is generated from this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from kstats.arch.base import Category, Isa


@attrs.frozen
class Meaning:
    """What a category contains (``summary``) and what it hides on every architecture."""

    summary: str
    hides: tuple[str, ...] = ()


MEANINGS: Mapping[Category, Meaning] = {
    Category.INTERRUPT: Meaning(
        "A host interrupt arrived, the guest can now accept a pending interrupt, or the guest used"
        " its interrupt controller in a way that KVM emulates."
    ),
    Category.MEMORY: Meaning(
        "The guest accessed memory that its second-level page table does not map or permit, or"
        " changed first-level mappings in a way that exits.",
        (
            (
                "**MMIO is counted here on every architecture.** Most architectures have one code"
                " for MMIO and for missing memory; hosts could not be compared if those with two"
                " codes counted MMIO separately."
            ),
        ),
    ),
    Category.IO: Meaning("Port I/O, which exists on x86 only."),
    Category.REGISTER: Meaning(
        "The guest read or wrote a system register: control, debug and descriptor-table registers,"
        " MSRs, XCR0, time-stamp and performance counters, identification registers."
    ),
    Category.IDLE: Meaning("The guest is idle: HLT, MWAIT, MONITOR, WFI."),
    Category.SPIN: Meaning(
        "The guest waits for a lock in a PAUSE loop for longer than the processor's limit."
    ),
    Category.HYPERCALL: Meaning("The guest called the hypervisor: VMCALL, VMMCALL, HVC, SMC."),
    Category.EXCEPTION: Meaning("The guest raised an exception that KVM intercepts."),
    Category.OTHER: Meaning(
        "Everything else: cache maintenance, virtualization instructions of nested hypervisors,"
        " task switches, failed entries, and every code without a name."
    ),
}

EVERYWHERE = (
    "Exits of nested guests (L2) that reach KVM are counted like any other.",
    (
        "An exit that the processor or the innermost code of KVM handles without the event kvm_exit"
        " is not counted: posted interrupts, APIC virtualization, and traps that KVM's EL2 code on"
        " ARM64 handles alone."
    ),
)
"""Notes that apply to all categories."""


def notes(category: Category, isas: Iterable[Isa]) -> list[tuple[str, str]]:
    """Return (titles of ISAs, note) pairs; a note that several ISAs share appears once."""
    titles: dict[str, list[str]] = {}
    for isa in isas:
        for text in isa.category_notes.get(category, ()):
            titles.setdefault(text, []).append(isa.title)
    return [(", ".join(of_isas), text) for text, of_isas in titles.items()]


def possible(isa: Isa) -> frozenset[Category]:
    """Return the categories that exits of this ISA can have; zero in any other means nothing."""
    named = (reason.category for reason in isa.reasons.values())
    return frozenset(named) | {Category.OTHER}
