r"""The text and the fields of kvm_exit on VMX and SVM.

The kernel's own text, before and since 5.10::

    reason EPT_VIOLATION rip 0xfff0 info 181 0
    vcpu 0 reason msr rip 0x1016 info1 0x0000000000000001 info2 0x0 intr_info 0x0 error_code 0x0

A code without a name is printed in hexadecimal; the flags of a VMX exit follow its name. perf and
trace-cmd use libtraceevent's plugin, which knows fewer names::

    reason EXIT_MSR rip 0x1016 info 1 0
    reason UNKNOWN (75) rip 0x1016 info 0 0
"""

from __future__ import annotations

import re

from kstats.arch.base import NUMBER_BITS, ExitEvent, Isa
from kstats.arch.spelling import code_of

_PATTERN = (
    r"(?a)(?:vcpu (?P<vcpu>\d{1,10}) )?reason (?P<name>[\w -]{1,80}?)(?: \((?P<number>\d{1,20})\))?"
    r" rip 0x[0-9a-f]+\b(?:.*? info1? (?:0x)?(?P<info1>[0-9a-f]{1,16})\b)?"
)

_HEXADECIMAL = r"0x[0-9a-f]{1,8}"


def _code(isa: Isa, match: re.Match[str]) -> int | None:
    if match["number"]:
        return int(match["number"]) & 0xFFFF_FFFF
    if re.fullmatch(_HEXADECIMAL, match["name"]):
        return int(match["name"], 16)
    return code_of(isa, match["name"])


def _vmx_code(isa: Isa, match: re.Match[str]) -> int | None:
    code = _code(isa, match)
    if code is not None:
        return code
    name, *flags = match["name"].split()
    bits = {flag: bit for bit, flag in isa.flags.items()}
    base = code_of(isa, name)
    if base is None or not all(flag in bits for flag in flags):
        return None
    return base | sum({bits[flag] for flag in flags})


def _svm_code(isa: Isa, match: re.Match[str]) -> int | None:
    code = _code(isa, match)
    if code is None or code != code_of(isa, "msr") or match["info1"] is None:
        return code
    # APM vol. 2 15.11: bit 0 of EXITINFO1 is 1 for a write.
    return (1 + (int(match["info1"], 16) & 1)) << NUMBER_BITS | code


VMX = ExitEvent(
    pattern=_PATTERN,
    code=_vmx_code,
    bpftrace_filter="args->isa == 1",
    bpftrace_code="(uint64)args->exit_reason",
)

SVM = ExitEvent(
    pattern=_PATTERN,
    code=_svm_code,
    bpftrace_filter="args->isa == 2",
    bpftrace_code="(args->exit_reason & 0xffffffff)"
    " | (args->exit_reason == 0x7c ? ((args->info1 & 1) + 1) << 32 : 0)",
)
