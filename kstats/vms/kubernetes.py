r"""Kubernetes' traces on a VM's process: the UID of its pod, and a namespace.

==================================================================  =====================
``/kubepods.slice/kubepods-pod1b5a_….slice/cri-containerd-….scope``  systemd; ``-`` is ``_``
``/kubepods/burstable/pod1b5a-…/3871…``                             without systemd
==================================================================  =====================

KubeVirt calls a VM ``NAMESPACE_NAME`` in libvirt; neither part can have a ``_``. A pod's own
namespace is not on the host. For sandboxes of Kata Containers and gVisor, containerd's is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from kstats.vms.identity import Kind

_POD = re.compile(r"/(?:[a-z-]*kubepods[a-z-]*-)?pod([0-9A-Za-z_-]{1,63})(?:\.slice)?(?=/|$)")
_KUBEVIRT = re.compile(r"([a-z0-9-]{1,63})_[a-z0-9.-]+")
_TASK = re.compile(r"/io\.containerd\.runtime\.v[12]\.\w+/([\w.-]{1,76})/", re.ASCII)
_NAMESPACE = re.compile(r"[\w.-]{1,76}", re.ASCII)


def pod(cgroups: Iterable[str]) -> str:
    """Return the UID of the pod that cgroups belong to; empty if they belong to none."""
    of_kubernetes = (path for path in cgroups if "kubepods" in path)
    return next((f[1].replace("_", "-") for f in map(_POD.search, of_kubernetes) if f), "")


def namespace(kind: Kind, name: str, words: Sequence[str], cgroups: Iterable[str]) -> str:
    """Return the Kubernetes namespace of a VM of KubeVirt, else that of containerd; else empty."""
    if kind in (Kind.LIBVIRT, Kind.QEMU) and any("kubepods" in path for path in cgroups):
        kubevirt = _KUBEVIRT.fullmatch(name)
        return kubevirt[1] if kubevirt else ""
    if kind is Kind.DRAGONBALL:
        given = (value for word, value in pairwise(words) if word in ("-namespace", "--namespace"))
        return next((value for value in given if _NAMESPACE.fullmatch(value)), "")
    if kind is Kind.GVISOR:
        return next((found[1] for found in map(_TASK.search, words) if found), "")
    return ""
