"""What this machine's CPU can do for a guest."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .errors import HostError, WorkloadError
from .kinds import ARM64, SVM, X64
from .workload import Workload

_CPUINFO: Final = Path("/proc/cpuinfo")
# QEMU up to 7.2 never checks for XSETBV's intercept, and takes INVD's for WBINVD's.
_TCG_LACKS: Final = ("xsetbv", "invd")


def isa() -> str:
    """``vmx``, ``svm`` or ``arm64``, as this machine's CPU has it."""
    if platform.machine() == "aarch64":
        return ARM64
    flags = _cpuinfo().split()
    for name in X64:
        if name in flags:
            return name
    raise HostError("this machine's CPU has no virtualization that the guests know")


def lacking(isa: str) -> Mapping[str, str]:
    """Kinds of `isa` that this CPU does not do as the manual says, and why."""
    if isa not in X64:
        return {}
    cpuinfo = _cpuinfo()
    lacks = {} if " xsave " in cpuinfo else {"xsetbv": "the CPU has no XSAVE"}
    if isa == SVM and "QEMU TCG CPU" in cpuinfo:
        lacks.update(dict.fromkeys(_TCG_LACKS, "QEMU's TCG makes another exit of it, or none"))
    return lacks


def require(workload: Workload, isa: str) -> None:
    """Raise `WorkloadError` if this CPU lacks something that the workload needs."""
    lacks = lacking(isa)
    for step in workload:
        if step.kind in lacks:
            raise WorkloadError(f"{step.kind}: {lacks[step.kind]}")


def _cpuinfo() -> str:
    return _CPUINFO.read_text(encoding="utf-8")
