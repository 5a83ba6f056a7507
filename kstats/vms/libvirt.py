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

from kstats.vms.proc import text

_SCOPE = re.compile(r"^machine-(.+)\.scope$", re.DOTALL)
_FOLDER = re.compile(r"^(.+)\.libvirt-(?:qemu|ch)$", re.DOTALL)
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")

# An embedded driver (qemu:///embed) adds a hash of its folder.
_MACHINE = re.compile(
    r"(?:qemu|ch)(?:-embed-[0-9a-f]{8})?(?:-([0-9]{1,9}))?(?:-(.*))?", re.DOTALL | re.ASCII
)
_DOMAIN = re.compile(r"/libvirt/qemu/(?:lib/)?domain-([0-9]{1,9})-", re.ASCII)


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
    paths = filter(None, map(_DOMAIN.search, words))
    number = next((int(path[1]) for path in paths), None)
    return found if number is None else Domain(number, found.name if found else "")


def _of_cgroup(part: str) -> Domain | None:
    scope = _SCOPE.match(part)
    folder = None if scope else _FOLDER.match(part)
    name = _unescape(scope[1]) if scope else folder[1] if folder else ""
    machine = _MACHINE.fullmatch(name)
    if machine:
        return Domain(int(machine[1]) if machine[1] else None, machine[2] or "")
    return Domain(None, name) if folder else None


def _unescape(name: str) -> str:
    r"""Undo virSystemdEscapeName: ``-`` was ``/``, ``\xNN`` any other byte."""
    raw = name.replace("-", "/").encode("utf-8", "surrogateescape")
    return text(_ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), raw))
