"""Selects VMs by name, pid, UUID or glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from kstats.errors import KstatsError
from kstats.escape import printable
from kstats.vms.identity import Vm

_SHOWN = 10
_UNLIMITED = 1 << 20
"""Longer than any name: the kernel limits an argument to 128 KiB."""


class NoSuchVmError(KstatsError, LookupError):
    """No running VM matches ``pattern``; ``known`` are the running VMs."""

    def __init__(self, pattern: str, known: Iterable[Vm]) -> None:
        self.pattern = pattern
        self.known = tuple(known)
        super().__init__(f"no VM matches '{printable(pattern)}'", _hint(self.known))


def matches(vm: Vm, pattern: str) -> bool:
    """Return whether ``pattern`` is the name, pid, ``name(pid)``, UUID or a glob for ``vm``.

    Case matters, as it does to virsh. A name matches itself even if it has ``*``, ``?`` or ``[``
    in it, and a number matches both a name and a pid.
    """
    # The printed name, because users type what they see and a name may contain any byte; with
    # the pid, as views print it if several VMs have that name.
    shown = printable(vm.name, _UNLIMITED)
    known = (vm.name, str(vm.pid), shown, f"{shown}({vm.pid})")
    if pattern in known or fnmatch.fnmatchcase(vm.name, pattern):
        return True
    return bool(vm.uuid) and pattern.lower() == vm.uuid


def select(vms: Iterable[Vm], pattern: str) -> tuple[Vm, ...]:
    """Return the ``vms`` that match ``pattern``; raises NoSuchVmError if none does."""
    known = tuple(vms)
    found = tuple(vm for vm in known if matches(vm, pattern))
    if not found:
        raise NoSuchVmError(pattern, known)
    return found


def _hint(known: tuple[Vm, ...]) -> str:
    if not known:
        return "no VM runs on this host"
    names = [f"{printable(vm.name, 32) or '?'}({vm.pid})" for vm in known[:_SHOWN]]
    more = [f"and {len(known) - _SHOWN} more"] if len(known) > _SHOWN else []
    return f"known: {', '.join(names + more)}"
