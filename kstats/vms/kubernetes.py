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
from kstats.vms.patterns import first_match

_POD = r"/(?:[a-z-]*kubepods[a-z-]*-)?pod([0-9A-Za-z_-]{1,63})(?:\.slice)?(?=/|$)"
_KUBEVIRT = r"([a-z0-9-]{1,63})_[a-z0-9.-]+"
_TASK = r"/io\.containerd\.runtime\.v[12]\.[a-z]+/([0-9A-Za-z_.-]{1,76})/"
_NAMESPACE = "[0-9A-Za-z_.-]{1,76}"


def pod(cgroups: Iterable[str]) -> str:
    """Return the UID of the pod that cgroups belong to; empty if they belong to none."""
    of_kubernetes = (path for path in cgroups if "kubepods" in path)
    return first_match(_POD, of_kubernetes).replace("_", "-")


def namespace(kind: Kind, name: str, words: Sequence[str], cgroups: Iterable[str]) -> str:
    """Return the Kubernetes namespace of a VM of KubeVirt, else that of containerd; else empty."""
    if kind in (Kind.LIBVIRT, Kind.QEMU) and any("kubepods" in path for path in cgroups):
        kubevirt = re.fullmatch(_KUBEVIRT, name)
        return kubevirt[1] if kubevirt else ""
    if kind is Kind.DRAGONBALL:
        given = (value for word, value in pairwise(words) if word in ("-namespace", "--namespace"))
        return next((value for value in given if re.fullmatch(_NAMESPACE, value)), "")
    if kind is Kind.GVISOR:
        return first_match(_TASK, words)
    return ""
