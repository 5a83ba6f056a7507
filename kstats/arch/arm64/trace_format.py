"""The text and the fields of kvm_exit on ARM64.

::

    TRAP: HSR_EC: 0x0018 (SYS64), PC: 0x0000000080000124
    IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x0000000080000128

The exception class (HSR_EC) is valid only for a TRAP. Old kernels print nothing before it, and no
name::

    HSR_EC: 0x0024, PC: 0x80000124
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kstats.arch.base import NUMBER_BITS, NUMBER_MASK, ExitEvent, Isa
from kstats.arch.spelling import code_of, integer

_RETURN_CODE = 1
_TRAP = 2
_PENDING = 1 << 31

_PATTERN = r"(?a)(?:(?P<ret>\w{1,20}): )?HSR_EC: 0x(?P<ec>[0-9a-f]{4,8})\b"

_HEXADECIMAL = r"0x[0-9a-f]{1,8}"


def _code(isa: Isa, match: re.Match[str]) -> int | None:
    if match["ret"] in ("TRAP", None):
        return int(match["ec"], 16)
    if re.fullmatch(_HEXADECIMAL, match["ret"]):
        return _RETURN_CODE << NUMBER_BITS | int(match["ret"], 16)
    return code_of(isa, match["ret"])


def _fields(_: Isa, fields: Mapping[str, str]) -> int | None:
    ret, exception_class = integer(fields.get("ret", "")), integer(fields.get("esr_ec", ""))
    if ret is None or exception_class is None:
        return None
    if ret & ~_PENDING == _TRAP:
        return exception_class & NUMBER_MASK
    return _RETURN_CODE << NUMBER_BITS | ret & ~_PENDING & NUMBER_MASK


ARM64 = ExitEvent(
    pattern=_PATTERN,
    code=_code,
    fields=_fields,
    # Bit 31 of ret is a flag: an SError is pending, in addition to the exit.
    bpftrace_code="(args->ret & 0x7fffffff) == 2 ? (uint64)args->esr_ec"
    " : ((uint64)1 << 32) | (args->ret & 0x7fffffff)",
)
