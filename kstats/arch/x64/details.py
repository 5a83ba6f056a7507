"""The details of x86 exits: the same kinds on VMX and SVM, on other codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kstats.arch.details import Access, Detail


def _msrs() -> Mapping[int, str]:
    from kstats.arch.x64.msr_names import MSRS  # noqa: PLC0415 - see Detail.names

    return MSRS


def _hypercalls() -> Mapping[int, str]:
    from kstats.arch.x64.hypercall_names import HYPERCALLS  # noqa: PLC0415 - see Detail.names

    return HYPERCALLS


def kinds(
    *,
    msr: Iterable[int],
    io: Iterable[int],
    mmio: Iterable[int],
    hypercall: Iterable[int],
    cr: Iterable[int],
) -> tuple[Detail, ...]:
    """Return the kinds of detail of an ISA, given the codes that carry each."""
    faults = frozenset(mmio)
    in_out = {Access.READ: "in", Access.WRITE: "out"}
    return (
        Detail("msr", "model-specific registers", frozenset(msr), _msrs),
        Detail("io", "I/O ports", frozenset(io), words=in_out),
        Detail("mmio", "guest-physical addresses", faults),
        Detail("page", "guest-physical addresses, by page", faults),
        Detail("hypercall", "hypercall numbers", frozenset(hypercall), _hypercalls),
        Detail("cr", "control registers", frozenset(cr), number=lambda number: f"cr{number}"),
    )
