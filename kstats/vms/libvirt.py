r"""The traces of libvirt on a VM's process: its cgroup, and paths on the command line.

====================================================  =============================
``/machine.slice/machine-qemu\x2d7\x2dweb.scope/…``   systemd; qemu, domain 7, web
``/machine.slice/machine-qemu\x2dweb.scope/…``        systemd, libvirt before 1.3
``/machine/qemu-7-web.libvirt-qemu/…``                without systemd
``/machine/web.libvirt-qemu/…``                       no systemd, before 1.3
====================================================  =============================

The name in a cgroup is libvirt's *machine name*: letters, digits, ``.`` and ``-`` only, without the
other characters, and truncated to 64 together with what precedes it
(virDomainDriverGenerateMachineName). So ``guest=`` on the command line takes precedence.

VMs of ``qemu:///session`` and of KubeVirt have no such cgroup. Their command lines have paths below
libvirt's folder of the domain, such as ``/var/lib/libvirt/qemu/domain-7-web/master-key.aes``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from kstats.vms.patterns import first_match
from kstats.vms.proc import text

_SCOPE = r"machine-(.+)\.scope"
_FOLDER = r"(.+)\.libvirt-(?:qemu|ch)"
_ESCAPED = rb"\\x([0-9a-fA-F]{2})"

# An embedded driver (qemu:///embed) adds a hash of its folder.
_MACHINE = "(?:qemu|ch)(?:-embed-[0-9a-f]{8})?(?:-([0-9]{1,9}))?(?:-(.*))?"
_DOMAIN = "/libvirt/qemu/(?:lib/)?domain-([0-9]{1,9})-"


class Domain(NamedTuple):
    """A VM of libvirt: its number, and its machine name; None and empty if unknown."""

    vmid: int | None
    name: str


def find_domain(words: Iterable[str], cgroups: Iterable[str]) -> Domain | None:
    """Return what a command line and cgroups contain of a domain of libvirt.

    None if they show no sign of it: libvirt did not start this process as a VM.
    """
    parts = (part for path in cgroups for part in path.split("/"))
    found = next(filter(None, map(_of_cgroup, parts)), None)
    if found and found.vmid is not None:
        return found
    number = first_match(_DOMAIN, words)
    return Domain(int(number), found.name if found else "") if number else found


def _of_cgroup(part: str) -> Domain | None:
    scope = re.fullmatch(_SCOPE, part, re.DOTALL)
    folder = re.fullmatch(_FOLDER, part, re.DOTALL)
    name = _unescape(scope[1]) if scope else folder[1] if folder else ""
    machine = re.fullmatch(_MACHINE, name, re.DOTALL)
    if machine:
        return Domain(int(machine[1]) if machine[1] else None, machine[2] or "")
    return Domain(None, name) if folder else None


def _unescape(name: str) -> str:
    r"""Undo virSystemdEscapeName: ``-`` was ``/``, ``\xNN`` any other byte."""
    raw = name.replace("-", "/").encode("utf-8", "surrogateescape")
    return text(re.sub(_ESCAPED, lambda match: bytes.fromhex(match[1].decode()), raw))
