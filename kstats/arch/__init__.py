"""Architectures: the names, columns and categories of VM exits.

::

    from kstats import arch

    arch.reason("vmx", 48).name          # 'EPT_VIOLATION'
    arch.reason("vmx", 0x99).name        # 'vmx:0x99': unknown codes keep their number
    arch.find("x64").columns             # the headings of kstats -v
    arch.for_machine(platform.machine()) # None on a machine without a backend

To add an architecture, see :mod:`kstats.arch.base`.
"""

from __future__ import annotations

from kstats.arch.arm64 import ARM64
from kstats.arch.base import Arch, Category, Column, Isa, Reason
from kstats.arch.registry import Registry
from kstats.arch.x64 import X64

__all__ = [
    "BUILT_IN",
    "Arch",
    "Category",
    "Column",
    "Isa",
    "Reason",
    "arches",
    "broken",
    "column_keys",
    "columns",
    "detail",
    "detail_kinds",
    "find",
    "for_machine",
    "isa",
    "reason",
    "register",
]

BUILT_IN = (X64, ARM64)

_registry = Registry(BUILT_IN)

arches = _registry.arches
broken = _registry.broken
register = _registry.register
find = _registry.find
for_machine = _registry.for_machine
isa = _registry.isa
reason = _registry.reason
detail = _registry.detail
detail_kinds = _registry.detail_kinds


def columns(arch: Arch | str) -> tuple[Column, ...]:
    """Return the headings of ``kstats -v`` in their order; raise UnknownNameError."""
    return (arch if isinstance(arch, Arch) else find(arch)).columns


def column_keys(arch: Arch | str) -> tuple[str, ...]:
    """Return the names of the columns in JSON and CSV, in their order; raise UnknownNameError."""
    return tuple(column.key for column in columns(arch))
