"""Choosing VMs by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from kstats.errors import KstatsError
from kstats.escape import printable
from kstats.vms.identity import Vm

_SHOWN = 10
_WHOLE = 1 << 20
"""No name is longer: the kernel's limit for a word of a command line is 128 KiB."""


class NoSuchVmError(KstatsError, LookupError):
    """No VM that runs matches ``pattern``; ``known`` are those that do run."""

    def __init__(self, pattern: str, known: Iterable[Vm]) -> None:
        self.pattern = pattern
        self.known = tuple(known)
        super().__init__(f"no VM matches '{printable(pattern)}'", _hint(self.known))


def matches(vm: Vm, pattern: str) -> bool:
    """Whether ``pattern`` means ``vm``: its name, its name as it is printed, its pid, or a glob.

    A name that has ``*``, ``?`` or ``[`` in it also means itself. Case matters, as it does to
    virsh. A number means the VM of that name and the VM of that pid.
    """
    # What is on the screen can be typed, though the name itself may be unspeakable.
    means_it = pattern in (vm.name, str(vm.pid)) or pattern == printable(vm.name, _WHOLE)
    return means_it or fnmatch.fnmatchcase(vm.name, pattern)


def select(vms: Iterable[Vm], pattern: str) -> tuple[Vm, ...]:
    """Those of ``vms`` that ``pattern`` means; raises NoSuchVmError if it means none."""
    known = tuple(vms)
    found = tuple(vm for vm in known if matches(vm, pattern))
    if not found:
        raise NoSuchVmError(pattern, known)
    return found


def _hint(known: tuple[Vm, ...]) -> str:
    if not known:
        return "no VM runs on this host"
    names = [f"{printable(vm.name, 32) or '?'} ({vm.pid})" for vm in known[:_SHOWN]]
    more = [f"and {len(known) - _SHOWN} more"] if len(known) > _SHOWN else []
    return f"known: {', '.join(names + more)}"
