"""The details of ARM64 exits."""

from __future__ import annotations

from collections.abc import Mapping

from kstats.arch.details import Detail


def sysreg(number: int) -> str:
    """Return a system register as the assembler spells it: ``S3_0_C0_C4_0`` (Arm ARM C5.1.2)."""
    op0, op1, crn, crm, op2 = (number >> shift for shift in (14, 11, 7, 3, 0))
    return f"S{op0}_{op1 & 7}_C{crn & 15}_C{crm & 15}_{op2 & 7}"


def _sysregs() -> Mapping[int, str]:
    from kstats.arch.arm64.sysreg_names import SYSREGS  # noqa: PLC0415 - see Detail.names

    return SYSREGS


def _hypercalls() -> Mapping[int, str]:
    from kstats.arch.arm64.hypercall_names import HYPERCALLS  # noqa: PLC0415 - see Detail.names

    return HYPERCALLS


_SYS64 = frozenset({0x18})
_FAULTS = frozenset({0x20, 0x24})
_CALLS = frozenset({0x12, 0x13, 0x16, 0x17})

KINDS = (
    Detail("sysreg", "system registers", _SYS64, _sysregs, sysreg),
    Detail("mmio", "guest-physical addresses", _FAULTS),
    Detail("page", "guest-physical addresses, by page", _FAULTS),
    Detail("hypercall", "functions of HVC and SMC", _CALLS, _hypercalls),
)
