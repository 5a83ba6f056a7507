r"""The text and the fields of kvm_exit on VMX and SVM.

The kernel's own text, before and since 5.10::

    reason EPT_VIOLATION rip 0xfff0 info 181 0
    vcpu 0 reason msr rip 0x1016 info1 0x0000000000000001 info2 0x0 intr_info 0x0 error_code 0x0

A code without a name is printed in hexadecimal; the flags of a VMX exit follow its name, those
without a name in hexadecimal. perf and trace-cmd use libtraceevent's plugin, which knows fewer
names::

    reason EXIT_MSR rip 0x1016 info 1 0
    reason UNKNOWN (75) rip 0x1016 info 0 0

Everything after the name may be cut off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, ExitEvent, Isa
from kstats.arch.spelling import code_of, integer

_PATTERN = (
    r"(?a)(?:vcpu (?P<vcpu>\d{1,10}),? )?reason:? "
    r"(?P<name>[\w|-]{1,40}(?: [\w|-]{1,40}){0,4}?)(?: \((?P<number>\d{1,20})\)?)?"
    r"(?=,? (?:rip|guest_rip|info|intr|error|isa|requests)| (?:ri?|i|in|inf)$|$)"
    r"(?:.*? info1? (?:0x)?(?P<info1>[0-9a-f]{1,16})\b)?"
)

_HEXADECIMAL = r"0x[0-9a-f]{1,8}"

_OLD_VMX = {
    "exception": "EXCEPTION_NMI",
    "ext_irq": "EXTERNAL_INTERRUPT",
    "halt": "HLT",
    "hypercall": "VMCALL",
    "tpr_below_thres": "TPR_BELOW_THRESHOLD",
}
"""The names of Linux 2.6.31 that are not those of today in lower case (arch/x86/kvm/vmx.c)."""

_ISA_FIELD = {"vmx": "1", "svm": "2"}
"""The field ``isa``: KVM_ISA_VMX, KVM_ISA_SVM (arch/x86/kvm/trace.h)."""


def _code(isa: Isa, name: str, number: str | None = None) -> int | None:
    if number:
        return int(number) & NUMBER_MASK
    if re.fullmatch(_HEXADECIMAL, name):
        return int(name, 16)
    return code_of(isa, name)


def _vmx_code(isa: Isa, match: re.Match[str]) -> int | None:
    code = _code(isa, match["name"], match["number"])
    if code is not None:
        return code
    name, *flags = match["name"].split()
    base = _code(isa, _OLD_VMX.get(name, name))
    bits = {flag: bit for bit, flag in isa.flags.items()}
    for flag in flags:
        bit = bits.get(flag) or (int(flag, 16) if re.fullmatch(_HEXADECIMAL, flag) else 0)
        if not bit or bit & ~isa.flag_mask or base is None:
            return None
        base |= bit
    return base


def _svm_code(isa: Isa, match: re.Match[str]) -> int | None:
    info1 = match["info1"]
    code = _code(isa, match["name"], match["number"])
    return _with_direction(isa, code, None if info1 is None else int(info1, 16))


def _with_direction(isa: Isa, code: int | None, info1: int | None) -> int | None:
    """Return the code of a read or write of an MSR (APM vol. 2 15.11: bit 0 of EXITINFO1)."""
    if code is None or code != code_of(isa, "msr") or info1 is None:
        return code
    return (1 + (info1 & 1)) << NUMBER_BITS | code


def _fields(isa: Isa, fields: Mapping[str, str]) -> int | None:
    reason = fields.get("exit_reason", fields.get("reason", ""))
    if fields.get("isa", _ISA_FIELD[isa.name]) != _ISA_FIELD[isa.name]:
        return None
    number = integer(reason)
    code = code_of(isa, reason) if number is None else number & NUMBER_MASK
    return _with_direction(isa, code, integer(fields.get("info1", "")))


VMX = ExitEvent(
    pattern=_PATTERN,
    code=_vmx_code,
    fields=_fields,
    bpftrace_filter="args->isa == 1",
    bpftrace_code="(uint64)args->exit_reason",
)

SVM = ExitEvent(
    pattern=_PATTERN,
    code=_svm_code,
    fields=_fields,
    bpftrace_filter="args->isa == 2",
    bpftrace_code="(args->exit_reason & 0xffffffff)"
    " | (args->exit_reason == 0x7c ? ((args->info1 & 1) + 1) << 32 : 0)",
)
