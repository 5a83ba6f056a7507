"""Name the exits in a recording of perf, and count them by column and reason.

    perf record -a -e kvm:kvm_exit sleep 5
    perf script -s perf_exits.py                  (on ARM64: add --guest-code)

A perf with Python support calls :func:`trace_unhandled` for every event, and :func:`trace_end`
at the end. The script uses only kstats.api; kstats must be installed for perf's Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kstats import api

# The values of kvm_exit's fields, from the kernel's arch/*/include/asm/kvm*.
X86_ISAS = {1: "vmx", 2: "svm"}
SVM_MSR = 0x7C
ARM64_TRAP = 2
ARM64_RETURN_CODE = (1 << 31) - 1  # above it, bit 31: an SError is pending

counts: Counter[tuple[str, int]] = Counter()


def code_of(fields: Mapping[str, Any]) -> tuple[str, int]:
    """Return the (isa, code) of an event; the code has its qualifier in the high 32 bits."""
    if "esr_ec" in fields:
        ret = fields["ret"] & ARM64_RETURN_CODE
        return "arm64", fields["esr_ec"] if ret == ARM64_TRAP else 1 << 32 | ret
    isa, number = X86_ISAS[fields["isa"]], fields["exit_reason"]
    if (isa, number) == ("svm", SVM_MSR):
        number |= (1 + (fields["info1"] & 1)) << 32  # a read, or a write
    return isa, number


def trace_unhandled(event: str, _context: object, fields: Mapping[str, Any]) -> None:
    """Count an exit; perf calls this for every event that has no handler."""
    if event == "kvm__kvm_exit":
        counts[code_of(fields)] += 1


def trace_end() -> None:
    """Print the counts; perf calls this at the end."""
    for code, n in counts.most_common():
        reason = api.reason(*code)
        print(f"{n:10} {reason.column:12} {reason.name}")
