"""Names the exits in a recording of perf, and counts them by column and reason.

    perf record -a -e kvm:kvm_exit sleep 5
    perf script -s perf_exits.py                  on ARM64 with --guest-code

A perf with Python support calls :func:`trace_unhandled` for every event, and :func:`trace_end`
at the end. It uses nothing but kstats.api; kstats must be installed for perf's Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kstats import api

# kvm_exit's fields, and how they become codes: arch/*/include/asm/kvm* of the kernel.
X86_ISAS = {1: "vmx", 2: "svm"}
SVM_MSR = 0x7C
ARM64_TRAP = 2
ARM64_RETURN_CODE = (1 << 31) - 1  # above it, bit 31: an SError is pending

counts: Counter[tuple[str, int]] = Counter()


def code_of(fields: Mapping[str, Any]) -> tuple[str, int]:
    """The (isa, code) of an event: its number, and above bit 32 what tells apart its meanings."""
    if "esr_ec" in fields:
        ret = fields["ret"] & ARM64_RETURN_CODE
        return "arm64", fields["esr_ec"] if ret == ARM64_TRAP else 1 << 32 | ret
    isa, number = X86_ISAS[fields["isa"]], fields["exit_reason"]
    if (isa, number) == ("svm", SVM_MSR):
        number |= (1 + (fields["info1"] & 1)) << 32  # a read, or a write
    return isa, number


def trace_unhandled(event: str, _context: object, fields: Mapping[str, Any]) -> None:
    """Called by perf for every event that has no function of its own."""
    if event == "kvm__kvm_exit":
        counts[code_of(fields)] += 1


def trace_end() -> None:
    """Called by perf at the end."""
    for code, n in counts.most_common():
        reason = api.reason(*code)
        print(f"{n:10} {reason.column:12} {reason.name}")
