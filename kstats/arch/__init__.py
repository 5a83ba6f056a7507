"""Architectures: the names, columns and categories of VM exits, ours and other packages'.

::

    from kstats import arch

    arch.reason("vmx", 48).name          # 'EPT_VIOLATION'
    arch.reason("vmx", 0x99).name        # 'vmx:0x99': no code loses its number
    arch.find("x64").columns             # the headings of kstats -v
    arch.for_machine(platform.machine()) # None on a machine that nobody wrote a backend for

What an architecture is made of, and how to add one: :mod:`kstats.arch.base`.
"""

from __future__ import annotations

from kstats.arch.arm64 import ARM64
from kstats.arch.base import Arch, Category, Column, Isa, Reason
from kstats.arch.registry import Registry
from kstats.arch.x64 import X64

__all__ = [
    "Arch",
    "Category",
    "Column",
    "Isa",
    "Reason",
    "arches",
    "broken",
    "columns",
    "detail",
    "detail_kinds",
    "find",
    "for_machine",
    "isa",
    "reason",
    "register",
]

_registry = Registry((X64, ARM64))

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
    """The headings of ``kstats -v`` in their order; raises UnknownNameError for an unknown name."""
    return (arch if isinstance(arch, Arch) else find(arch)).columns
