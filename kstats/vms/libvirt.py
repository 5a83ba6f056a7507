r"""The cgroup that libvirt creates for a VM, and the VM's name in it.

====================================================  =============================
``/machine.slice/machine-qemu\x2d7\x2dweb.scope/…``   systemd; qemu, domain 7, web
``/machine.slice/machine-qemu\x2dweb.scope/…``        systemd, libvirt before 1.3
``/machine/qemu-7-web.libvirt-qemu/…``                without systemd
``/machine/web.libvirt-qemu/…``                       no systemd, before 1.3
====================================================  =============================

The name in it is libvirt's *machine name*: letters, digits, ``.`` and ``-`` only, without the
other characters, and truncated to 64 together with what precedes it
(virDomainDriverGenerateMachineName). So ``guest=`` on the command line takes precedence.

VMs of ``qemu:///session`` have no such cgroup: they are shown as QEMU's, under the same name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kstats.vms.proc import text

_SCOPE = re.compile(r"^machine-(.+)\.scope$", re.DOTALL)
_FOLDER = re.compile(r"^(.+)\.libvirt-(?:qemu|ch)$", re.DOTALL)
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")

# An embedded driver (qemu:///embed) adds a hash of its folder.
_MACHINE = re.compile(r"^(?:qemu|ch)(?:-embed-[0-9a-f]{8})?(?:-[0-9]+)?(?:-(.*))?$", re.DOTALL)


def machine_name(cgroups: Iterable[str]) -> str | None:
    """Return the VM's name in its cgroups; empty if all its characters were dropped.

    None without such a cgroup: libvirt did not start this process as a VM.
    """
    for path in cgroups:
        for part in path.split("/"):
            name = _of_scope(part) if part.startswith("machine-") else _of_folder(part)
            if name is not None:
                return name
    return None


def _of_scope(part: str) -> str | None:
    scope = _SCOPE.match(part)
    machine = _MACHINE.match(_unescape(scope[1])) if scope else None
    return (machine[1] or "") if machine else None


def _of_folder(part: str) -> str | None:
    folder = _FOLDER.match(part)
    if folder is None:
        return None
    machine = _MACHINE.match(folder[1])
    return (machine[1] or "") if machine else folder[1]


def _unescape(name: str) -> str:
    r"""Undo virSystemdEscapeName: ``-`` was ``/``, ``\xNN`` any other byte."""
    raw = name.replace("-", "/").encode("utf-8", "surrogateescape")
    return text(_ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), raw))
