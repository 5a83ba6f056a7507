"""What more exits of x86 tell; VMX and SVM have the same kinds, each in a way of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from kstats.arch.base import BtfField, Probe, RecordField
from kstats.arch.details import Access, Detail, DetailEvent, DetailSource
from kstats.arch.x64.hypercall_names import HYPERCALLS
from kstats.arch.x64.msr_names import MSRS

_REGISTERS = BtfField("GUEST_REGISTERS_OFFSET", ("kvm_vcpu.arch.regs",))


def kinds(
    *,
    msr: Iterable[int],
    io: Iterable[int],
    mmio: Iterable[int],
    hypercall: Iterable[int],
    cr: Iterable[int],
) -> tuple[Detail, ...]:
    """The kinds of an ISA whose codes are these."""
    addressed = frozenset(mmio)
    ways = {Access.READ: "in", Access.WRITE: "out"}
    return (
        Detail("msr", "model-specific registers", frozenset(msr), MSRS),
        Detail("io", "I/O ports", frozenset(io), words=ways),
        Detail("mmio", "guest-physical addresses", addressed),
        Detail("page", "guest-physical addresses, by page", addressed),
        Detail("hypercall", "numbers of hypercalls", frozenset(hypercall), HYPERCALLS),
        Detail("cr", "control registers", frozenset(cr), number=lambda number: f"cr{number}"),
    )


def sources(
    *,
    registers: Sequence[Probe],
    info: tuple[Probe, ...],
    cr: tuple[Probe, ...],
    mmio: tuple[Probe, ...],
    events: tuple[DetailEvent, ...] = (),
) -> tuple[DetailSource, ...]:
    """How an ISA tells each kind: the probes that pass the vCPU, and those that tell the rest."""
    with_registers = tuple(with_btf(probe, _REGISTERS) for probe in registers)
    address = "KSTATS_DETAIL_ADDRESS"
    return (
        DetailSource("msr", ("KSTATS_DETAIL_MSR",), with_registers),
        DetailSource("io", ("KSTATS_DETAIL_IO",), info),
        DetailSource("mmio", (address,), mmio, events),
        DetailSource("page", (address, "KSTATS_DETAIL_PAGES"), mmio, events),
        DetailSource("hypercall", ("KSTATS_DETAIL_HYPERCALL",), with_registers),
        DetailSource("cr", ("KSTATS_DETAIL_CR",), cr),
    )


def with_btf(probe: Probe, *fields: BtfField) -> Probe:
    """The probe, with more offsets of struct members."""
    return attrs.evolve(probe, btf=(*probe.btf, *fields))


def with_record(probe: Probe, *fields: RecordField) -> Probe:
    """The probe, with more fields of the record."""
    return attrs.evolve(probe, record=(*probe.record, *fields))
