"""Capabilities of this machine's CPU."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .errors import HostError, WorkloadError
from .kinds import ARM64, SVM, X64
from .workload import Workload

_CPUINFO: Final = Path("/proc/cpuinfo")
# QEMU up to 7.2 ignores the intercept of XSETBV, and mistakes that of INVD for WBINVD's.
_TCG_LACKS: Final = ("xsetbv", "invd")


def isa() -> str:
    """Return this machine's ISA: ``vmx``, ``svm`` or ``arm64``."""
    if platform.machine() == "aarch64":
        return ARM64
    flags = _cpuinfo().split()
    for name in X64:
        if name in flags:
            return name
    raise HostError("this machine's CPU has no virtualization that the guests support")


def lacking(isa: str) -> Mapping[str, str]:
    """Return the kinds of `isa` that this CPU does not implement by the manual, with the reason."""
    if isa not in X64:
        return {}
    cpuinfo = _cpuinfo()
    lacks = {} if " xsave " in cpuinfo else {"xsetbv": "the CPU has no XSAVE"}
    if isa == SVM and "QEMU TCG CPU" in cpuinfo:
        lacks.update(dict.fromkeys(_TCG_LACKS, "QEMU's TCG causes another exit, or none"))
    return lacks


def require(workload: Workload, isa: str) -> None:
    """Raise `WorkloadError` if this CPU cannot run the workload."""
    lacks = lacking(isa)
    for step in workload:
        if step.kind in lacks:
            raise WorkloadError(f"{step.kind}: {lacks[step.kind]}")


def _cpuinfo() -> str:
    return _CPUINFO.read_text(encoding="utf-8")
